"""Tables of published simulations, as the pattern model writes them itself."""

import numpy as np
import pytest

from mechscreen import InputError, get_model
from published import PARAMETERS, POINTS, read_table


def test_a_row_holds_parameters_profile_log_peak_and_number_of_peaks(tmp_path):
    model = get_model("pattern", binding="reference")
    normalised = np.random.default_rng(1).uniform(0.2, 1, (2, PARAMETERS))
    solved = model.simulate(normalised, normalised=True)
    rows = np.hstack([normalised, solved.profiles[:, 0], solved.log_peaks, [[2.0], [4.0]]])
    np.savetxt(tmp_path / "table.csv", rows, "%.5g", ",")
    parameters, profiles, log_peaks = read_table(tmp_path / "table.csv")
    np.testing.assert_allclose(parameters, normalised, rtol=1e-4)
    assert profiles.shape == (2, 1, POINTS)
    np.testing.assert_allclose(profiles, solved.profiles, atol=1e-4)
    np.testing.assert_allclose(log_peaks, solved.log_peaks, rtol=1e-4)


def test_a_table_of_something_else_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(InputError, match=r"table\.csv: rows of 3 values; 516 are expected"):
        read_table(tmp_path / "table.csv")
