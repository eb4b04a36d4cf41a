"""What a sample of all screened sets says of them, beside all of them simulated."""

import re

import numpy as np
import pytest

from campaigns import ROOT
from deadlines import StopAfter
from mechscreen.campaign import Campaign, read_mapping
from mechscreen.figures import get_figure
from mechscreen.models.outputs import Status
from mechscreen.ranks import Interrupted
from mechscreen.reports import findings
from mechscreen.reports.results import Results
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.schemas.validation import FAILED, Surveyed, ValidationSummary
from mechscreen.stages import survey as stage
from mechscreen.stages.calibrate import calibrate
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.search import Search
from mechscreen.stages.survey import random_training
from mechscreen.stages.validate import validate


@pytest.fixture
def surveyed(trained):
    """Return a function that validates a campaign with a survey."""

    def run(survey=900, **sections):
        validation = {"limit": 100, "survey": survey}
        campaign = trained(calibration={"count": 1200, "candidates": 20_000}, validation=validation, **sections)
        calibrate(campaign)
        for block in range(campaign.screen.blocks):
            screen_block(campaign, block)
        gather_screen(campaign)
        validate(campaign)
        return campaign

    return run


def read(campaign):
    summary = ValidationSummary.read(campaign.paths.validation_summary)
    return Surveyed.read(campaign.paths.survey, campaign.identity("validation")), summary.population


def truth_of_all(campaign):
    """Return which of all screened sets are of the target, and their numbers."""
    search = Search(campaign)
    result = campaign.model_instance.simulate(search.sample(0, campaign.screen.count)[1])
    ok = result.status == Status.OK
    labels = np.full(len(ok), FAILED)
    labels[ok] = campaign.objective(result.profiles[ok], result.log_peaks[ok])
    return labels


def test_what_it_says_of_all_is_what_all_simulations_say(surveyed):
    campaign = surveyed()
    found, said = read(campaign)
    labels = truth_of_all(campaign)
    true = np.isin(labels, campaign.targets)
    np.testing.assert_array_equal(found.labels, labels[found.index])
    np.testing.assert_array_equal(found.parameters, Search(campaign).sample(0, campaign.screen.count)[1][found.index])
    assert said.simulated == len(found.index) == found.looked.sum() == 900
    assert said.failed == (labels[found.index] == FAILED).sum() > 0
    assert said.found == true[found.index].sum() == found.found.sum()
    summary = ScreenSummary.read(campaign.paths.screen_summary)
    hits = summary.probable[:, summary.limit :].sum()
    assert found.sizes.sum() == campaign.screen.count
    assert found.sizes[found.kept].sum() == hits
    kept = np.zeros(len(true), bool)
    kept[np.flatnonzero(np.isin(np.arange(len(true)), _hits(campaign)))] = True
    for known, share in (
        (said.prevalence, true.mean()),
        (said.precision, true[kept].mean()),
        (said.recall, (true & kept).sum() / true.sum()),
    ):
        for low, high in (known.if_calibrated, known.trusting_nothing):
            assert low <= share <= high
        assert known.value == pytest.approx(share, abs=0.03)
        wide, narrow = (high - low for low, high in (known.trusting_nothing, known.if_calibrated))
        assert narrow <= 1.1 * wide


def _hits(campaign):
    from mechscreen.schemas.screen import ScreenHits

    return ScreenHits.read(campaign.paths.screen_hits).hits.index


def test_most_is_simulated_where_it_tells_most_and_all_strata_have_their_part(surveyed):
    campaign = surveyed()
    found, _ = read(campaign)
    assert np.all(found.looked >= np.minimum(found.sizes, 900 // (4 * len(found.sizes))))
    deviation = found.sizes * np.sqrt(found.expected * (1 - found.expected))
    assert np.corrcoef(deviation, found.looked)[0, 1] > 0.7
    assert np.all(np.diff(found.least) > 0)
    assert np.all((found.least <= found.expected) & (found.expected <= np.append(found.least[1:], 1)))
    assert found.least[found.kept].min() == ScreenSummary.read(campaign.paths.screen_summary).totals.least_probability


def test_interrupted_it_says_the_same(surveyed, monkeypatch):
    campaign = surveyed()
    expected = [path.read_bytes() for path in (campaign.paths.survey, campaign.paths.validation_table)]
    whole, said = read(campaign)
    for path in (campaign.paths.survey, campaign.paths.validation_hits, campaign.paths.validation_summary):
        path.unlink()
    stops = 0
    for calls in range(1, 30):
        try:
            validate(campaign, deadline=StopAfter(calls))
        except Interrupted:
            stops += 1
        else:
            break
    again, says = read(campaign)
    assert stops >= 2
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(getattr(again, name), values)
    assert says == said
    assert len(expected) == 2
    left = {path.name for path in campaign.paths.validation.iterdir()}
    assert left == {"hits.h5", "hits.csv", "summary.json", "survey.h5"}


def test_training_simulations_count_where_they_are_a_random_sample_of_what_is_screened(trained):
    with_levels = trained()
    manifest = Manifest.read(with_levels.paths.manifest)
    demo = read_mapping(ROOT / "config/demo.yaml")
    campaign = Campaign.from_dict({**demo, "screen": {**demo["screen"], "objective": {"target": ["2"]}}})
    classes = np.array([10, 20, 30])
    assert random_training(with_levels, manifest, classes) is None, "a screen looks between levels too"
    found, of = random_training(campaign, manifest, classes)
    assert found == classes[list(campaign.targets)].sum()
    # Those that failed are of no class.
    assert of == round(60 * manifest.simulations / (manifest.simulations - manifest.dropped.count))
    narrowed = Campaign.from_dict({**demo, "screen": {**demo["screen"], "parameters": {"KT": {"value": 900}}}})
    assert random_training(narrowed, manifest, classes) is None


def test_the_report_says_first_how_many_there_are_and_what_is_missed(surveyed):
    campaign = surveyed()
    evaluate(campaign)
    results = Results(campaign)
    said = findings.headline(results)
    assert re.search(
        r"hits \(2 rings\), the most probable sets\. 2 rings: [\d.]+ % of the space \([\d.]+–[\d.]+ % if the "
        r"calibration holds; at most [\d.]+ % without trust\); the screen finds [\d.]+ % of them "
        r"\([\d.]+–[\d.]+ %; at least [\d.]+ %\); "
        r"[\d.]+ % of its hits are right \([\d.]+–[\d.]+ %; at least [\d.]+ %\)\. Of 100 hits simulated",
        said,
    )
    numbers = {number.label: number for number in findings.key_numbers(results)}
    assert "if the calibration holds" in numbers["Of all 2 rings, the screen finds"].note
    found, _ = read(campaign)
    (table,) = [t for t in findings.tables(results, ()) if t.title == "What a survey of all screened sets finds"]
    assert [row[3] for row in table.rows] == found.looked.tolist()
    assert [row[5] for row in table.rows] == found.found.tolist()
    assert [row[2] == "hits" for row in table.rows] == found.kept.tolist()
    assert "of all       2 rings: " in findings.summary(results)
    picture, caption = get_figure(campaign, "confidence").draw(results)
    assert picture.axes
    assert re.match(r"95\.0 % right: ", caption)


def test_a_survey_of_none_is_none(surveyed):
    campaign = surveyed(survey=0)
    assert not campaign.paths.survey.exists()
    assert ValidationSummary.read(campaign.paths.validation_summary).population is None
    assert stage.survey(Search(campaign), None, None) is None
