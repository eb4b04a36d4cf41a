from types import SimpleNamespace

import numpy as np
import pytest

from mechscreen.reports import steps
from mechscreen.schemas.validation import Share
from mechscreen.spaces import Parameter


def results(**changes):
    """Return what the steps are told of a campaign: 400 hits, of which 100 were simulated, in the lower left corner."""
    told = {"found": 400, "discarded": 0, "confirmed": 99, "training": 500, "dropped": 0, "useless": [], "survey": None}
    told |= changes
    target = np.zeros((1, 10, 10), int)
    target[0, 0, :] = told["found"] // 10
    return SimpleNamespace(
        campaign=SimpleNamespace(by_model=False, paths=SimpleNamespace(root="results/x")),
        useless=told["useless"],
        validation=SimpleNamespace(
            validated=100 if told["found"] else 0,
            confirmed=Share.of(told["confirmed"], 100),
            training_target=told["training"],
            population=told["survey"],
        ),
        screen=SimpleNamespace(
            totals=SimpleNamespace(hits_found=told["found"], hits_discarded=told["discarded"]), samples=10_000
        ),
        manifest=SimpleNamespace(simulations=1000, dropped=SimpleNamespace(count=told["dropped"])),
        hits=range(100 if told["found"] else 0),
        varied=[Parameter("k", 0.0, 1.0), Parameter("m", 0.0, 1.0)],
        target_planes=(target, np.full((1, 10, 10), 100)),
    )


def test_a_good_campaign_says_what_is_left_to_do():
    text = " ".join(steps.after(results()))
    assert "300 hits are predictions alone" in text
    assert "add calibration.count: 1000 and validation.survey: 1000" in text
    assert "at an end of the range of k (lower end): it may" in text, "not of m, along which they are everywhere"
    assert "mechscreen hits results/x lists" in text
    assert "Simulate a hit before" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"confirmed": 60}, "the confirmed share may be as low as 50."),
        ({"training": 3}, "Only 3 training simulations are of the target"),
        ({"training": 1}, "Only 1 training simulation is of the target"),
        ({"found": 0, "discarded": 70}, "70 were discarded for disagreement: raise screen.disagreement_limit"),
        ({"found": 0}, "There is no hit: screen more sets"),
        ({"useless": ["algae"]}, "Do not build on algae"),
        ({"dropped": 120}, "120 of 1,000 simulations failed (12.0 %)"),
    ],
)
def test_what_went_wrong_says_what_to_change(changes, said):
    assert said in " ".join(steps.after(results(**changes)))
    assert said not in " ".join(steps.after(results()))


def test_where_all_was_surveyed_no_survey_is_asked_for():
    assert "survey" not in " ".join(steps.after(results(survey=object())))
