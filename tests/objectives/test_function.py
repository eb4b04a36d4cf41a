import numpy as np
import pytest

from mechscreen.errors import InputError, MechscreenError
from mechscreen.objectives import get_objective


def test_a_users_objective_is_not_asked_about_nothing(tmp_path):
    (tmp_path / "listed.py").write_text("def even(profiles, log_peaks):\n    return [0 for _ in log_peaks]\n")
    objective = get_objective(f"{tmp_path / 'listed.py'}:even", classes=["yes", "no"])
    assert objective(np.zeros((2, 1, 5)), np.zeros((2, 1))).tolist() == [0, 0]
    assert objective(np.zeros((0, 1, 5)), np.zeros((0, 1))).shape == (0,)


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / f"objective_of_{tmp_path.name}.py"
    path.write_text(
        "import numpy as np\n"
        "def bright(profiles, log_peaks):\n"
        "    assert profiles.ndim == 3 and log_peaks.ndim == 2\n"
        "    return (log_peaks[:, 0] > 0).astype(int)\n"
        "def floats(profiles, log_peaks):\n"
        "    return log_peaks[:, 0]\n"
        "def too_short(profiles, log_peaks):\n"
        "    return np.zeros(len(log_peaks) - 1, int)\n"
        "def too_high(profiles, log_peaks):\n"
        "    return np.arange(len(log_peaks))\n"
        "def above(profiles, log_peaks, *, threshold: float = 1):\n"
        "    return (log_peaks[:, 0] > threshold).astype(int)\n"
        "def without_default(profiles, log_peaks, threshold):\n"
        "    return np.zeros(len(log_peaks), int)\n"
        "number = 3\n"
    )
    return path


ARRAYS = np.zeros((3, 1, 4)), np.array([[-1.0], [0.5], [2.0]])


def test_a_users_function_labels_profiles(user_file):
    objective = get_objective(f"{user_file}:bright", classes=["dark", "bright"])
    assert objective.class_names == ("dark", "bright")
    labels = objective(*ARRAYS)
    assert labels.tolist() == [0, 1, 1]
    assert labels.dtype == np.int64


def test_a_users_function_takes_options(user_file):
    bright = f"{user_file}:above"
    labels = {t: get_objective(bright, classes=["a", "b"], threshold=t)(*ARRAYS).tolist() for t in (0, 1.0)}
    assert labels == {0: [0, 1, 1], 1.0: [0, 0, 1]}
    assert get_objective(bright, classes=["a", "b"])(*ARRAYS).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("above", {"treshold": 1}, r"no option 'treshold'; did you mean 'threshold'\? \(valid: classes, threshold\)"),
        ("above", {"threshold": "1e-3"}, "threshold is '1e-3'; it must be a number, such as 0.001 without quotes"),
        ("bright", {"threshold": 1}, r"no option 'threshold' \(valid: classes\)"),
        ("without_default", {}, "needs the option 'threshold', which has no default"),
        ("above", {"profiles": 1}, "no option 'profiles'"),
    ],
)
def test_a_wrong_option_of_a_users_function_is_named(user_file, function, options, message):
    with pytest.raises(InputError, match=message):
        get_objective(f"{user_file}:{function}", classes=["a", "b"], **options)


def test_a_users_class_is_made_with_its_options(tmp_path):
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "class Above:\n"
        "    class_names = ('below', 'above')\n"
        "    def __init__(self, threshold: float = 0.0):\n"
        "        self.threshold = threshold\n"
        "    def __call__(self, profiles, log_peaks):\n"
        "        return (log_peaks[:, 0] > self.threshold).astype(int)\n"
    )
    objective = get_objective(f"{tmp_path}/own.py:Above", threshold=1.0)
    assert objective.class_names == ("below", "above")
    assert objective(*ARRAYS).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="no option 'classes'"):
        get_objective(f"{tmp_path}/own.py:Above", classes=["a"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("floats", "returned float64 values"),
        ("too_short", r"shape \(2,\) for 3 samples"),
        ("too_high", "label 2 for sample 2; labels are 0 … 1"),
        ("number", "is not a function"),
        ("brihgt", "did you mean 'bright'"),
    ],
)
def test_a_users_function_that_breaks_the_contract_is_named(user_file, function, message):
    with pytest.raises(MechscreenError, match=message):
        get_objective(f"{user_file}:{function}", classes=["dark", "bright"])(*ARRAYS)


@pytest.mark.parametrize("options", [{}, {"classes": "dark"}, {"classes": []}, {"classes": ["a", "a"]}, {"limit": 1}])
def test_a_users_function_needs_names_of_classes(user_file, options):
    with pytest.raises(InputError, match="classes"):
        get_objective(f"{user_file}:bright", **options)
