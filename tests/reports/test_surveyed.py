"""What a survey says, in words."""

import numpy as np
import pytest

from mechscreen.reports import surveyed
from mechscreen.schemas.validation import Known, Population, Surveyed


def known(value, believed, counted):
    return Known(value=value, if_calibrated=believed, trusting_nothing=counted)


POPULATION = Population(
    simulated=5000,
    failed=12,
    found=800,
    expected=790.0,
    training=80_000,
    prevalence=known(0.000081, (0.000078, 0.000084), (0.00006, 0.000116)),
    precision=known(0.97, (0.95, 0.98), (0.93, 0.99)),
    recall=known(0.93, (0.9, 0.95), (0.64, 0.96)),
)


def of(least, sizes, expected, looked, found):
    n = len(least)
    return Surveyed(
        least=np.array(least),
        sizes=np.array(sizes),
        expected=np.array(expected),
        kept=np.arange(n) == n - 1,
        looked=np.array(looked),
        found=np.array(found),
        index=np.arange(sum(looked)),
        parameters=np.zeros((sum(looked), 1)),
        labels=np.zeros(sum(looked), np.int64),
        class_names=np.array(["a", "b"]),
    )


STRATA = {"least": [0.0, 0.05, 0.9], "sizes": [10**6, 2000, 900], "expected": [1e-5, 0.3, 0.96]}


def test_the_sentence_has_both_intervals_of_what_there_is_what_is_found_and_what_is_right():
    assert surveyed.statement(POPULATION, "3 rings", True) == (
        "3 rings: 0.0081 % of the space (0.0078–0.0084 % if the calibration holds; at most 0.012 % without trust); the "
        "screen finds 93.0 % of them (90.0–95.0 %; at least 64.0 %); 97.0 % of its hits are right (95.0–98.0 %; at "
        "least 93.0 %)."
    )
    assert "% of what was screened (" in surveyed.statement(POPULATION, "3 rings", False)


def test_without_hits_nothing_is_said_of_them():
    none = POPULATION.model_copy(update={"precision": known(None, (None, None), (None, None))})
    assert surveyed.statement(none, "striped", True).endswith("without trust); none of them is a hit.")
    assert surveyed.key_numbers(none, "striped", True)[2].note == "nothing is known of it"


def test_rows_are_of_the_probability_and_say_what_was_found_and_what_was_to_be():
    table = surveyed.table(of(**STRATA, looked=[300, 200, 50], found=[0, 62, 49]), POPULATION)
    assert [row[0] for row in table.rows] == ["0 to 0.05", "0.05 to 0.9", "0.9 to 1"]
    assert [row[4] for row in table.rows] == ["0.003", "60", "48"]
    assert table.rows[0][6] == "0.0 %"
    assert "12 could not be simulated" in table.note
    assert "80,000 training simulations too" in table.note
    assert surveyed.table(None, None).rows == []


def test_strata_that_are_wrong_together_alone_are_a_doubt():
    some = of([0.0, 0.02, 0.03, 0.05, 0.9], [10**6, 5000, 4000, 2000, 900], [1e-5, 0.02, 0.04, 0.06, 0.96],
              [300, 100, 100, 100, 50], [0, 6, 9, 12, 48])  # fmt: skip
    (said,) = surveyed.doubts(some, POPULATION)
    assert said.startswith("Of 600 simulated sets that are no hits, 12 were to be of the target, and 27 are:")


def test_training_that_contradicts_the_survey_is_a_doubt():
    contradicting = POPULATION.model_copy(update={"contradicting": 0.05})
    (said,) = surveyed.doubts(of(**STRATA, looked=[300, 200, 50], found=[0, 62, 49]), contradicting)
    assert said.startswith("5.0 % of the training simulations are of the target, which the survey contradicts")


@pytest.mark.parametrize(("found", "doubted"), [([0, 62, 49], 0), ([3, 62, 49], 1), ([0, 10, 49], 1), ([0, 75, 40], 0)])
def test_a_stratum_that_contradicts_its_probability_is_a_doubt(found, doubted):
    said = surveyed.doubts(of(**STRATA, looked=[300, 200, 50], found=found), POPULATION)
    assert len(said) == doubted
    if found[0] == 3:
        assert said == [
            "Of 300 simulated sets with a probability from 0 on, 0.003 were to be of the target, and 3 are: the "
            "calibration does not hold there."
        ]
