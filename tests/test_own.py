import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mechscreen import own
from mechscreen.errors import ModelError
from mechscreen.registry import load_object


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes files, by path and content, to a folder of some name, and returns it."""

    def folder(name, more=None, **files):
        for file, content in {**files, **(more or {})}.items():
            path = tmp_path / name / f"{file}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / name

    return folder


def value(place):
    return load_object(f"{place}/sibling.py:value", "model")


def test_a_file_imports_its_neighbour_as_python_does(folder):
    place = folder("mine", sibling="from neighbour_of_the_tests import value", neighbour_of_the_tests="value = 3")
    assert value(place) == 3
    alone = subprocess.run([sys.executable, place / "sibling.py"], capture_output=True)
    assert alone.returncode == 0


def test_neighbours_of_one_name_in_two_folders_are_two_modules(folder):
    files = {"sibling": "import neighbour_of_the_tests as it\nvalue = lambda: it.value"}
    one, two = (folder(str(n), **files, neighbour_of_the_tests=f"value = {n}") for n in (1, 2))
    assert [value(place)() for place in (one, two, one)] == [1, 2, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "from parts_of_the_tests.inner import value",
        "from parts_of_the_tests import inner; value = inner.value",
        "import parts_of_the_tests.inner; value = parts_of_the_tests.inner.value",
        "import parts_of_the_tests.inner as inner; value = inner.value",
        "def late():\n    from parts_of_the_tests.inner import value\n    return value\nvalue = late()",
    ],
)
@pytest.mark.parametrize("first", [{}, {"parts_of_the_tests/__init__": ""}], ids=["namespace", "package"])
def test_packages_beside_a_file_are_imported_in_any_way(folder, statement, first):
    inside = {
        "parts_of_the_tests/inner": "from .other import value\nimport neighbour_of_the_tests",
        "parts_of_the_tests/other": "import parts_of_the_tests\nvalue = 4",
    }
    place = folder("mine", first | inside, sibling=statement, neighbour_of_the_tests="")
    assert value(place) == 4


def test_a_neighbour_called_like_a_package_shadows_it_for_its_own_folder_alone(folder):
    import colorsys

    place = folder("mine", sibling="import colorsys\nvalue = colorsys.mine", colorsys="mine = 5")
    assert value(place) == 5
    elsewhere = folder("other", sibling="import colorsys\nvalue = colorsys.rgb_to_hls")
    assert value(elsewhere) is colorsys.rgb_to_hls
    assert sys.modules["colorsys"] is colorsys


def test_mechscreen_itself_is_not_shadowed(folder):
    place = folder("mine", sibling="from mechscreen import Model as value", mechscreen="")
    from mechscreen import Model

    assert value(place) is Model


def test_a_folder_on_the_path_is_imported_from_as_ever(folder, monkeypatch):
    place = folder("mine", sibling="import on_the_path_of_the_tests as value", on_the_path_of_the_tests="")
    monkeypatch.syspath_prepend(place)
    import on_the_path_of_the_tests

    assert value(place) is on_the_path_of_the_tests


def test_a_neighbour_that_is_missing_or_broken_is_told(folder):
    with pytest.raises(ModelError, match="ModuleNotFoundError: No module named 'no_neighbour_of_the_tests'"):
        value(folder("one", sibling="from no_neighbour_of_the_tests import value"))
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        value(folder("two", sibling="from neighbour_of_the_tests import value", neighbour_of_the_tests="1 / 0"))


C = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled_of_the_tests", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_compiled_of_the_tests(void) {
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "value", 7);
    return made;
}
"""


def test_a_compiled_neighbour_is_imported(folder):
    headers, compiler = Path(sysconfig.get_path("include")), shutil.which("cc")
    if compiler is None or not (headers / "Python.h").exists():
        pytest.skip("needs a C compiler and Python's headers")
    place = folder("mine", sibling="from compiled_of_the_tests import value\nimport compiled_of_the_tests")
    (place / "source.c").write_text(C)
    target = place / f"compiled_of_the_tests{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{headers}", place / "source.c", "-o", target], check=True)
    assert value(place) == 7
    assert "compiled_of_the_tests" not in sys.modules


def test_another_process_imports_such_a_module_by_its_name(folder):
    place = folder("mine", sibling="from neighbour_of_the_tests import value", neighbour_of_the_tests="value = 6")
    value(place)
    name = own.name_of(place / "sibling.py")
    done = subprocess.run(
        [sys.executable, "-c", f"import {name} as it; print(it.value)"],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.stdout == "6\n", done.stderr
