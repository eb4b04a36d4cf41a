import logging

import pytest

from mechscreen.errors import MechscreenError, ModelError
from mechscreen.registry import load_object


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path):
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.py").write_text(f"value = {number}")
    assert [load_object(f"{tmp_path / str(number)}/mine.py:value", "model") for number in (1, 2, 1)] == [1, 2, 1]


def test_the_log_tells_once_whose_code_runs(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    (tmp_path / "mine.py").write_text("value = other = 1")
    (tmp_path / "a_package_of_this_test.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    for spec in (f"{tmp_path}/mine.py:value", f"{tmp_path}/mine.py:other", "a_package_of_this_test:value"):
        load_object(spec, "model")
    assert caplog.messages == [
        f"model '{tmp_path}/mine.py:value': running the code of {tmp_path}/mine.py",
        "model 'a_package_of_this_test:value': running the code of the module a_package_of_this_test",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("(", "SyntaxError"),
    ],
)
def test_code_that_cannot_be_imported_is_told(tmp_path, content, expected):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(ModelError, match=f"importing {path} failed: {expected}"):
        load_object(f"{path}:value", "model")


@pytest.mark.parametrize("spec", [":", "x:", ":x", "no.such:thing", "a\0b.py:x", ".relative:x", "none.py:x", "/:x"])
def test_what_is_no_place_of_an_object_is_told(spec):
    with pytest.raises(MechscreenError, match=r"^model '"):
        load_object(spec, "model")
