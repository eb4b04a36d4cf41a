"""Tables of the suites: what is counted, and as what."""

import pytest

from discovery_study import reports

QUIET = {"caveats": [], "seconds": 1.0}
DATA_CAVEAT = {"caveats": ["the support is information-limited: the chosen one has 60 %"], "seconds": 1.0}
MISFIT = {"caveats": ["the residuals of x are correlated"], "seconds": 1.0}
REFUSED = {"failed": "refused: discover: no term is significant", "refused": True, "seconds": 1.0}
SLOW = {"failed": "took longer than 60 s", "refused": False, "seconds": 60.0}


def line_of(text, start):
    (line,) = [line for line in text.split("\n") if line.startswith(start)]
    return line


def case(own, **more):
    known = {"method": "collocation", "as_assumed": True, "family": "hill", "confidence": 0.99, "points": 20}
    return known | more | own


def outside(own, miss=10.0):
    return case(own, inside=False, miss=miss)


def inside(own, right=True, confidence=0.99):
    return case(own, inside=True, miss=0.0, points=60, family="logistic", confidence=confidence, right=right)


def test_truths_that_are_missed_are_told_by_a_caveat_or_by_refusing():
    rows = [outside(QUIET), outside(DATA_CAVEAT), outside(MISFIT), outside(REFUSED), outside(SLOW), outside(QUIET, 2.9)]
    text = reports.truths([*rows, inside(QUIET), inside(MISFIT), inside(DATA_CAVEAT), inside(REFUSED)])
    told = line_of(text, "- truth outside")
    assert "any caveat, or refused: 3/5, 60.0 %" in told
    assert "few or noisy, or refused: 2/5, 40.0 %" in told
    false = line_of(text, "- truth inside")
    assert "(false): 1/3, 33.3 %" in false
    assert "any: 2/3" in false
    assert "refused: 1/4" in false
    assert line_of(text, "| missed, 13 to 24 points").startswith(
        "| missed, 13 to 24 points | 5 |  | 1 | 1 | 1 | 1 | 1 |"
    )
    assert line_of(text, "| hill, less").startswith("| hill, less | 1 |  | 1 |")


def test_reliability_counts_what_is_said_to_be_sure_and_what_is_not():
    rows = [
        *(inside(QUIET) for _ in range(8)), inside(QUIET, right=False), inside(QUIET, confidence=0.7), inside(MISFIT),
        outside(QUIET), outside(QUIET, miss=1.0), outside(REFUSED), {**outside(SLOW), "confidence": None},
    ]  # fmt: skip
    text = reports.reliability(rows)
    within = line_of(text, "- truth inside the library")
    assert "without caveat: 8/9, 88.9 %" in within
    assert "those that are right: 8/10, 80.0 %" in within
    assert "without caveat: 8/10" in line_of(text, "- and all of ODEBench")
    assert "without caveat: 8/11" in line_of(text, "- and truths that it misses by less")
    assert line_of(text, "| 50 to 80 %").startswith("| 50 to 80 % | 1 | 70.0 % | 1/1")
    assert line_of(text, "| 12 to 24").endswith("| 1/3, 33.3 % [6–79] |")


def bench(first, second, **more):
    known = case(QUIET, inside=True, right=True, noise=0.01, dropped=0.0, seed=0, system=5, kind="polynomial")
    scores = {"reconstruction": first, "generalisation": second}
    return known | {"dimension": 1, "chaotic": False} | scores | more


def test_odebench_counts_scores_above_nine_tenths_and_lists_failures_with_their_reason():
    rows = [
        bench(0.99, 0.95), bench(0.99, 0.5, system=6), bench(0.99, 0.0, system=7, right=False, **MISFIT),
        {**bench(None, None, system=8), **SLOW},
    ]  # fmt: skip
    text = reports.odebench(rows)
    line = line_of(text, "| collocation | 0.01 | 0 | 3/4, 75.0 %")
    assert "| 1/4, 25.0 % | 3/4, 75.0 % | 1 of 3 | 1 | 1 | 60 |" in line
    failures = text.split("Failures")[1]
    assert "| 5 |" not in failures
    assert "right support, rough coefficients; NO CAVEAT" in failures
    assert "wrong support; caveats: the residuals of x are correlated" in failures
    assert "took longer than 60 s" in failures


def test_mdbench_counts_models_below_a_distance():
    rows = [{"method": "m", "snr": 40, "seconds": 1.0, "nmse": nmse, "right": False} for nmse in (0.001, 0.05, 3.0)]
    text = reports.mdbench([*rows, {"method": "m", "snr": 40} | SLOW])
    assert "| m | 40 | 4 | 1 | 0.05 | 1/4, 25.0 % | 2/4, 50.0 % | 0/4, 0.0 % |" in text


def test_speed_tells_seconds_ratios_and_what_did_not_end():
    base = {"case": "cycle", "before": "673738b", "right": True}
    both = base | {"seconds": 2.0, "seconds_before": 4.0, "ratio": 0.5, "right_before": False}
    one = base | {"seconds": 3.0, "seconds_before": 60.0, "ratio": None, "failed_before": "took longer"}
    line = line_of(reports.speed([both, one]), "| cycle")
    assert line.startswith("| cycle | 673738b | 2 | 2.5 | 3 | 4 | 0.5 | 0.5 | 0.5 | 2/2, 100.0 % | 0/2, 0.0 % |")
    assert line.endswith("| before took longer |")


def test_rational_pools_intervals_of_right_structures():
    rows = [
        {"method": "m", "system": "a", "right": True, "inner": 2, "covered": 1} | QUIET,
        {"method": "m", "system": "b", "right": False, "inner": 0, "covered": 0} | QUIET,
        {"method": "m", "system": "b"} | REFUSED,
    ]
    line = line_of(reports.rational(rows), "| m | all")
    assert line.startswith("| m | all | 1/3, 33.3 % [6–79] | 1/2, 50.0 % | 1 | 1 × refused: discover:")


def test_grids_have_noise_down_and_lengths_across():
    known = {"method": "m", "system": "lorenz", "noise_in": "dB", "length_in": "samples", "seconds": 1.0}
    rows = [known | {"noise": noise, "length": n, "right": n > 100} for noise in (0.1, 0.2) for n in (100, 200)]
    text = reports.grids(rows)
    assert "| noise | 100 | 200 |" in text
    assert "| 0.2 | 0/1, 0.0 % | 1/1, 100.0 % |" in text


@pytest.mark.parametrize(("value", "cell"), [(None, ""), (float("nan"), ""), (0.12345, "0.123"), ("a|b", "a\\|b")])
def test_cells_are_short_and_keep_the_table(value, cell):
    assert reports.table(["a"], [[value]]).split("\n")[2] == f"| {cell} |"
