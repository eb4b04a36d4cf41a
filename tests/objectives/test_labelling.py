import numpy as np
import pytest

from mechscreen.errors import InputError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Labelling, UserObjective, get_objective

V, W = Output("V", np.arange(3.0), scale="linear"), Output("W", scale="log")
TWO = Outputs((V, W))


def test_an_unknown_objective_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'rings'"):
        get_objective("ring")


def by_name(outputs, threshold=1.0):
    return ((outputs["V"].max(axis=1) > threshold) & (outputs["W"] > 0)).astype(int)


def by_profiles(profiles, log_peaks):
    return (profiles[:, 0, 0] > 0).astype(int)


def labelling(function, outputs, **options):
    return Labelling(UserObjective("mine", function, {"classes": ["no", "yes"], **options}), outputs)


def test_a_function_of_one_argument_gets_the_outputs_by_name_in_their_units():
    raw = {"V": np.array([[-3.0, 2.0, 0.0], [-3.0, 0.5, 0.0]]), "W": np.array([4.0, 5.0])}
    profiles, log_peaks, *_ = TWO.scaled(TWO.join(raw, 2))
    assert labelling(by_name, TWO)(profiles, log_peaks).tolist() == [1, 0]
    assert labelling(by_name, TWO, threshold=0.25)(profiles, log_peaks).tolist() == [1, 1]
    assert labelling(by_name, TWO)(profiles[:0], log_peaks[:0]).tolist() == []


def test_a_function_of_profiles_is_refused_for_outputs_of_different_shapes_with_the_way_on():
    with pytest.raises(
        InputError, match=r"the model's are 'V' \(3,\), 'W' \(\); write it as a function of the outputs"
    ):
        labelling(by_profiles, TWO)
    assert labelling(by_profiles, Outputs((V,)))(np.ones((2, 1, 3)), np.zeros((2, 1))).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("output", "reason"), [(0, "'V' is no profile that is scaled by its peak"), (5, "no output 5")]
)
def test_rings_and_modes_need_a_profile_that_is_scaled_by_its_peak(output, reason):
    with pytest.raises(InputError, match=reason):
        Labelling(get_objective("modes", output=output), TWO)


def test_rings_find_their_output_among_others_of_any_shape():
    outputs = Outputs((W, Output("ring", np.linspace(0, 1, 201))))
    profile = np.exp(-(((np.linspace(0, 1, 201) - 0.5) / 0.1) ** 2))
    values = np.concatenate([[0.3], profile])[None]
    assert Labelling(get_objective("rings", output=1), outputs)(values, np.zeros((1, 2))).tolist() == [1]
