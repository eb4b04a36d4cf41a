import numpy as np
import pytest

from mechscreen.emulators.backends.choice import make_predictor
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.backends.openvino import OpenVINOPredictor


@pytest.mark.parametrize("make", [KerasPredictor, make_predictor, OpenVINOPredictor])
def test_all_batches_hold_what_the_network_says(network, make, sets):
    said, expected = make(network, 16)(sets), network.predict_on_batch(sets)
    for name in ("profiles", "log_peaks"):
        assert said[name].shape == expected[name].shape
        np.testing.assert_allclose(said[name], expected[name], atol=1e-5)


def test_a_row_does_not_depend_on_those_beside_it(network, sets):
    predictor = OpenVINOPredictor(network, 16, "float32")
    whole, some = predictor(sets)["profiles"], predictor(sets[20:25])["profiles"]
    np.testing.assert_array_equal(some, whole[20:25])
    assert predictor(sets[:0])["profiles"].shape == (0, 2, 21)
