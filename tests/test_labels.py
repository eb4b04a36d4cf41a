"""Names of outputs and axes, each once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import Output, Parameter, ParameterSpace
from mechscreen.labels import Labels, columns_of, distinct, table_names

names = st.lists(st.sampled_from(["a", "a_", "a__", "sample", "b", "x.y z"]), max_size=6)


@given(names, st.sets(st.sampled_from(["a", "a_", "b"])))
def test_names_are_each_there_once_and_those_that_are_free_stay(wanted, taken):
    found = distinct(wanted, taken)
    assert len({*found, *taken}) == len(found) + len(taken)
    assert all(own.rstrip("_") == name.rstrip("_") for own, name in zip(found, wanted, strict=True))
    if len({*wanted, *taken}) == len(wanted) + len(taken):
        assert found == wanted


def test_columns_have_the_outputs_names_and_their_places():
    space = ParameterSpace([Parameter("A", 0, 1), Parameter("B", 0, 1)])
    outputs = (Output("A"), Output("A_"), Output("sample"), Output("mutant.A x", np.arange(2.0)))
    labels = table_names(space, outputs)
    assert labels == ["A_", "A__", "sample_", "mutant.A x"]
    assert columns_of(labels[3], (2,)) == ["mutant.A x[0]", "mutant.A x[1]"]
    assert columns_of("f", (2, 2)) == ["f[0][0]", "f[0][1]", "f[1][0]", "f[1][1]"]
    assert columns_of("f", ()) == ["f"]


def test_outputs_on_one_grid_share_its_axis_and_no_two_axes_have_one_name():
    grid, later = np.arange(3.0), np.arange(3.0) + 1
    outputs = (
        Output("time", grid, grid_name="time"),
        Output("b", grid, grid_name="time"),
        Output("c", later, grid_name="time"),
        Output("d", grid, grid_name="time", grid_unit="h"),
        Output("square", (grid, grid)),
        Output("n"),
    )
    labels = Labels(outputs, ["n"])
    assert labels.names == ["time", "b", "c", "d", "square", "n_"]
    assert labels.dims == [("time_",), ("time_",), ("time__",), ("time___",), ("position", "position_"), ()]
    assert labels.axes["time___"][0] == "h"
    np.testing.assert_array_equal(labels.axes["time__"][1], later)
