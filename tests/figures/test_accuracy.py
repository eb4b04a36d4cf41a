import numpy as np
import pytest

from mechscreen.figures import accuracy


def arrays(s):
    return s.simulated, s.emulated, s.simulated_peaks, s.emulated_peaks


@pytest.mark.parametrize("outputs", [1, 2, 9])
@pytest.mark.parametrize("n", [2, 4000])
def test_states_r2_and_rmse_of_the_arrays(samples, shown, outputs, n):
    s = samples(n, outputs)
    texts = shown(accuracy.draw(*arrays(s), s.outputs))
    r2 = 1 - np.sum((s.simulated - s.emulated) ** 2) / np.sum((s.simulated - s.simulated.mean()) ** 2)
    rmse = np.sqrt(np.mean((s.simulated_peaks - s.emulated_peaks) ** 2))
    assert f"Profiles: R² = {r2:.4f}" in texts
    assert f"RMSE = {rmse:.3g}" in texts.partition("Peaks:")[2]
    assert "simulated ln(peak), peak in nM" in texts
    assert f"{n:,} test samples" in accuracy.caption(*arrays(s))


def test_a_perfect_emulator_and_a_single_sample_can_be_drawn(samples, shown):
    s = samples(1)
    texts = shown(accuracy.draw(s.simulated, s.simulated, s.simulated_peaks, s.simulated_peaks, s.outputs))
    assert "R² = 1.0000, RMSE = 0" in texts
    # One value does not vary, so that R² has no meaning.
    assert "Peaks: R² = not defined" in texts
