from dataclasses import replace

import numpy as np
import pytest

from mechscreen import InputError
from mechscreen.acquisitions import Candidates, choose

DISAGREEMENT = np.tile(np.array([0.1, 0.2, 0.4, 0.0], np.float32), 250)
PROBABLE = np.repeat([0.0, 0.5, 0.125, 1.0], [600, 40, 160, 200])
CANDIDATES = Candidates(
    np.zeros((1000, 2)), DISAGREEMENT, np.zeros(1000, bool), np.zeros(1000), lambda: np.arange(1000.0)
)
KNOWN = replace(CANDIDATES, in_target=PROBABLE > 0.2, probable=PROBABLE, disagreement=np.full(1000, 0.1, np.float32))


def drawn(name, candidates, size, times=300):
    return np.concatenate([choose(name, candidates, size, np.random.default_rng(k)) for k in range(times)])


def test_the_draw_is_without_replacement_in_proportion_to_disagreement():
    drawn = np.concatenate([choose("committee", CANDIDATES, 20, np.random.default_rng(k)) for k in range(300)])
    shares = np.bincount(drawn % 4, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 7, 2 / 7, 4 / 7, 0], atol=0.02)
    everything = choose("committee", CANDIDATES, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(everything, np.arange(1000))


def test_disagreement_alone_does_not_care_for_the_target():
    shares = np.bincount(drawn("disagreement", KNOWN, 50), minlength=1000) / (300 * 50)
    assert shares[PROBABLE == 1].sum() == pytest.approx(0.2, abs=0.02)


def test_the_target_is_drawn_where_it_is_least_known_in_proportion_to_its_variance():
    rows = drawn("target", KNOWN, 30)
    assert set(np.unique(PROBABLE[rows])) == {0.5, 0.125}
    # 40 · 1/4 of 40 · 1/4 + 160 · 7/64.
    assert (PROBABLE[rows] == 0.5).mean() == pytest.approx(10 / 27.5, abs=0.02)
    more = choose("target", KNOWN, 400, np.random.default_rng(0))
    assert np.isin(np.flatnonzero((PROBABLE > 0) & (PROBABLE < 1)), more).all(), "all that is not known, and others"


def test_a_mix_is_half_of_what_is_not_known_and_half_of_what_is_disagreed_about():
    rows = drawn("mix", KNOWN, 40)
    unsure = (PROBABLE[rows] > 0) & (PROBABLE[rows] < 1)
    # Of the other half, as many as there are left among all.
    assert unsure.mean() == pytest.approx(0.5 + 0.5 * 180 / 980, abs=0.02)


def test_sensitivity_is_measured_where_it_is_asked_for_alone():
    calls = []
    candidates = replace(CANDIDATES, measure_sensitivity=lambda: calls.append(1) or np.arange(1000.0))
    for name in ("committee", "target", "disagreement", "mix"):
        choose(name, candidates, 20, np.random.default_rng(0))
    assert not calls
    rows = drawn("sensitivity", CANDIDATES, 20)
    assert rows.mean() == pytest.approx(2 / 3 * 1000, rel=0.03)


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
