import numpy as np
import pytest

from mechscreen import InputError
from mechscreen.acquisitions import Candidates, choose

DISAGREEMENT = np.tile(np.array([0.1, 0.2, 0.4, 0.0], np.float32), 250)
CANDIDATES = Candidates(np.zeros((1000, 2)), DISAGREEMENT, np.zeros(1000, bool))


def test_the_draw_is_without_replacement_in_proportion_to_disagreement():
    drawn = np.concatenate([choose("committee", CANDIDATES, 20, np.random.default_rng(k)) for k in range(300)])
    shares = np.bincount(drawn % 4, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 7, 2 / 7, 4 / 7, 0], atol=0.02)
    everything = choose("committee", CANDIDATES, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(everything, np.arange(1000))


def test_an_unknown_acquisition_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"no acquisition 'comittee'; did you mean 'committee'\?"):
        choose("comittee", CANDIDATES, 20, np.random.default_rng(0))


def test_ones_own_acquisition_chooses_and_its_rows_are_put_in_order(tmp_path):
    (tmp_path / "own.py").write_text("def last(candidates, size, rng):\n    return [999 - k for k in range(size)]\n")
    chosen = choose(f"{tmp_path}/own.py:last", CANDIDATES, 3, np.random.default_rng(0))
    assert chosen.tolist() == [997, 998, 999]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("[1, 2]", r"returned int64 values of shape \(2,\); it must return 3 row numbers"),
        ("[0.5, 1, 2]", "returned float64 values"),
        ("[1, 1, 2]", r"must return different row numbers of 0 … 999; it returned 2 different ones of 1 … 2"),
        ("[-1, 1, 2]", "3 different ones of -1 … 2"),
        ("[1, 2, 1000]", "3 different ones of 1 … 1000"),
    ],
)
def test_an_acquisition_that_breaks_the_contract_is_named(tmp_path, returned, message):
    (tmp_path / "own.py").write_text(f"def wrong(candidates, size, rng):\n    return {returned}\n")
    with pytest.raises(InputError, match=message):
        choose(f"{tmp_path}/own.py:wrong", CANDIDATES, 3, np.random.default_rng(0))
