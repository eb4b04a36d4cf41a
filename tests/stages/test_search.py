"""What a screen looks for, and how many of its hits it finds."""

import pytest

from mechscreen.stages.search import recall
from mechscreen.tally import Counts


def test_recall_of_a_cascade_is_what_its_audit_says():
    counts = Counts.zeros(2, 2, 4)
    counts.classes[:] = 90_000, 10_000
    counts.disagreement_levels[0, 0] = 11_000
    counts.audit[:] = 1000, 4
    # 89,000 samples were passed over, and each of the audited thousand stands for 90; 4 missed hits for 360.
    told = recall(5004, counts)
    assert told["recall"] == pytest.approx(5000 / 5360)
    # Exact Poisson limits of 4 (Garwood 1936): 1.0899 and 10.2416.
    assert told["recall_low"] == pytest.approx(5000 / (5000 + 90 * 10.2416), rel=1e-5)
    assert told["recall_high"] == pytest.approx(5000 / (5000 + 90 * 1.0899), rel=1e-5)
    counts.audit[:] = 1000, 0
    told = recall(5000, counts)
    assert (told["recall"], told["recall_high"]) == (1, 1)
    assert told["recall_low"] == pytest.approx(5000 / (5000 + 90 * 3.6889), rel=1e-5)
    assert recall(5000, Counts.zeros(2, 2, 4)) == {}
