"""Measured data as the objective: the best sets, and posteriors that are known."""

from pathlib import Path

import numpy as np
import pytest

import mechscreen
from deadlines import StopAfter
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.figures import get_figure
from mechscreen.models.setup import Setup
from mechscreen.ranks import Interrupted
from mechscreen.reports import direct, fitted
from mechscreen.reports.results import Results
from mechscreen.schemas.fits import Chain, Polished, Posterior, PosteriorSummary
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.infer import infer
from mechscreen.stages.merge import merge
from mechscreen.stages.polish import polish
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate

MODELS = Path(__file__).with_name("measurable.py")


def write_table(path, rows):
    path.write_text("\n".join(["output,time,value,error", *(",".join(map(str, row)) for row in rows)]) + "\n")


@pytest.fixture
def matching(tmp_path):
    """Return a function that screens a model of `measurable` for measurements, and polishes."""

    def run(called, rows, *, draws=1000, count=20, models=MODELS, **sections):
        write_table(tmp_path / "measured.csv", rows)
        campaign = Campaign.from_dict(
            {
                "name": "matched",
                "results": str(tmp_path / "results"),
                "seed": 5,
                "model": {"name": f"{models}:{called}", **sections.pop("model", {})},
                "screen": {
                    "by": "model",
                    "count": 2000,
                    "block_size": 1000,
                    "objective": {
                        "name": "match",
                        "options": {"observations": str(tmp_path / "measured.csv")},
                        "target": ["fits"],
                    },
                },
                "validation": {"limit": 50},
                "polish": {"count": count},
                "posterior": {"draws": draws, "simulations": 400_000},
                **sections,
            }
        )
        campaign.record()
        for block in range(campaign.screen.blocks):
            screen_block(campaign, block)
        gather_screen(campaign)
        validate(campaign)
        polish(campaign)
        return campaign

    return run


RNG = np.random.default_rng(3)
T = np.linspace(0, 10, 11)
LINE = [("y", t, 1.0 + 0.5 * t + 0.4 * e, 0.4) for t, e in zip(T, RNG.standard_normal(11), strict=True)]


def of_the_line(prior_sd=None):
    """Return mean and covariance of intercept and slope, by the normal equations; prior of the slope: N(0.6, sd)."""
    design = np.column_stack([np.ones(11), T]) / 0.4
    value = np.array([row[2] for row in LINE]) / 0.4
    precision, right = design.T @ design, design.T @ value
    if prior_sd is not None:
        precision, right = precision + np.diag([0, prior_sd**-2]), right + np.array([0, 0.6 / prior_sd**2])
    return np.linalg.solve(precision, right), np.linalg.inv(precision)


@pytest.mark.parametrize("prior_sd", [None, 0.05], ids=["uniform", "normal"])
def test_the_posterior_of_a_line_is_the_one_of_the_normal_equations(matching, prior_sd):
    prior = {} if prior_sd is None else {"slope": {"prior": {"name": "normal", "loc": 0.6, "scale": prior_sd}}}
    campaign = matching("Line", LINE, draws=4000, model={"parameters": prior})
    infer(campaign)
    mean, covariance = of_the_line(prior_sd)
    draws = Posterior.read(campaign.paths.posterior, campaign.identity("posterior"))
    deviations = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.parameters.mean(axis=0) - mean) < 0.1 * deviations).all()
    assert draws.parameters.std(axis=0) == pytest.approx(deviations, rel=0.1)
    expected = covariance[0, 1] / deviations.prod()
    assert np.corrcoef(draws.parameters.T)[0, 1] == pytest.approx(expected, abs=0.06)
    # Searches do not know priors: the best set is the one of least squares.
    best = Polished.read(campaign.paths.polished, campaign.identity("polished"))
    assert best.parameters[0] == pytest.approx(of_the_line()[0], abs=1e-5)
    residuals = (np.array([row[2] for row in LINE]) - best.parameters[0] @ np.stack([np.ones(11), T])) / 0.4
    assert best.deviance[0] == pytest.approx(residuals @ residuals + 11 * np.log(2 * np.pi * 0.16), abs=1e-6)
    assert best.done.all()


def test_the_posterior_of_predators_is_the_one_on_a_grid(matching):
    model = Setup(f"{MODELS}:Predators").make()
    truth = np.array([[1.1, 0.7, 0.9]])
    rng = np.random.default_rng(8)
    solved = model.solve(truth, np.zeros(1, np.uint64)).profiles
    rows = [
        (name, 0.5 * k, solved[name][0, k] + 0.5 * rng.standard_normal(), 0.5)
        for name in ("prey", "predator")
        for k in range(0, 21, 3)
    ]
    campaign = matching("Predators", rows, draws=2000)
    infer(campaign)
    draws = np.log(Posterior.read(campaign.paths.posterior, campaign.identity("posterior")).parameters)
    # All of the posterior lies there: six deviations of the draws on either side.
    ends = draws.mean(axis=0)[:, None] + 6 * draws.std(axis=0)[:, None] * np.linspace(-1, 1, 41)
    ends = np.clip(ends, np.log(0.1), np.log(3.0))
    grid = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    chi2 = np.zeros(len(grid))
    of_grid = model.solve(np.exp(grid), np.zeros(len(grid), np.uint64)).profiles
    for name, t, value, error in rows:
        chi2 += ((of_grid[name][:, round(t / 0.5)] - value) / error) ** 2
    weights = np.exp(-(chi2 - chi2.min()) / 2)
    weights /= weights.sum()
    mean = weights @ grid
    deviations = np.sqrt(weights @ (grid - mean) ** 2)
    assert (np.abs(draws.mean(axis=0) - mean) < 0.1 * deviations).all()
    assert draws.std(axis=0) == pytest.approx(deviations, rel=0.1)
    summary = PosteriorSummary.read(campaign.paths.posterior_summary)
    assert summary.enough
    assert {about.known for about in summary.parameters.values()} == {"determined"}


def test_what_is_not_measured_is_not_determined_and_what_is_bounded_is_said_to_be_so(matching):
    # The end alone: intercept and slope trade places, within their ranges.
    campaign = matching("Line", [("last", "", 8.0, 0.1)], draws=300)
    infer(campaign)
    known = PosteriorSummary.read(campaign.paths.posterior_summary).parameters
    assert known["intercept"].known == "not determined"
    assert known["slope"].known == "determined"  # (8 ± 10) / 10


def arrays_of(campaign):
    return {
        kind: {name: value for name, value in vars(kind.read(path)).items() if isinstance(value, np.ndarray)}
        for kind, path in (
            (Polished, campaign.paths.polished),
            (Chain, campaign.paths.chain),
            (Posterior, campaign.paths.posterior),
        )
    }


def same(a, b):
    for kind, arrays in a.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, b[kind][name], err_msg=f"{kind.__name__}.{name}")


def test_an_interruption_anywhere_changes_nothing(matching, monkeypatch):
    monkeypatch.setattr("mechscreen.stages.polish._STEPS", 3)
    campaign = matching("Line", LINE, draws=200, count=30)
    infer(campaign)
    whole = arrays_of(campaign)
    for path in (campaign.paths.polished, campaign.paths.chain, campaign.paths.posterior):
        path.unlink()
    for stage, stops in ((polish, (1, 4, 16)), (infer, (1, 30, 200))):
        for after in stops:
            with pytest.raises(Interrupted):
                stage(campaign, deadline=StopAfter(after))
        stage(campaign)
    same(whole, arrays_of(campaign))


def test_where_no_search_of_its_own_finds_the_best_set_those_that_go_on_from_others_do(matching):
    truth = np.array([0.7, 1.6, 2.5, 3.3, 4.1])
    rows = [
        (f"y{k}", t, np.sin(f * t) + 0.1 * RNG.standard_normal(), 0.1)
        for k, f in enumerate(truth)
        for t in np.linspace(0, 10, 21).tolist()
    ]
    campaign = matching("Tones", rows, count=90, posterior={"draws": 0}, models=MODELS.with_name("tones.py"))
    found = Polished.read(campaign.paths.polished)
    assert found.from_search.sum() == 45
    assert found.parameters[0] == pytest.approx(truth, abs=0.02)
    assert found.from_search[0]
    assert found.deviance[~found.from_search].min() > found.deviance[0] + 100
    # That these came to it, one from the other, says nothing of whether there is a better one.
    assert any("Only 0 of 45 searches" in doubt for doubt in fitted.doubts(Results(Campaign.open(campaign.paths.root))))


def test_asked_for_more_walkers_go_on_where_they_are(matching):
    campaign = matching("Line", LINE, draws=1500)
    infer(campaign)
    first = Chain.read(campaign.paths.chain)
    more = campaign.model_copy(update={"posterior": campaign.posterior.model_copy(update={"draws": 6000})})
    assert more.identity("posterior") == campaign.identity("posterior")
    infer(more)
    both = Chain.read(more.paths.chain)
    assert len(both.places) > len(first.places)
    np.testing.assert_array_equal(both.places[: len(first.places)], first.places)
    assert PosteriorSummary.read(more.paths.posterior_summary).independent >= 6000


def test_the_report_says_what_is_known_and_what_is_not(matching):
    campaign = matching("Line", LINE, draws=300)
    infer(campaign)
    results = Results(Campaign.open(campaign.paths.root))
    told = direct.headline(results)
    assert "20 of 20 searches came within 1 of it; the data determine 2 of 2 parameters." in told
    assert not fitted.doubts(results)
    table = fitted.table(results)
    assert [row[0] for row in table.rows] == ["intercept", "slope"]
    picture, caption = get_figure(campaign, "fits").draw(results)
    assert caption == "11 measurements of 1 output; 200 draws of the posterior."
    assert picture.axes[0].get_title() == "y"
    _, caption = get_figure(campaign, "parameters").draw(results)
    assert caption == "2 of 2 parameters are determined."
    read = mechscreen.open(campaign.paths.root)
    stored = Posterior.read(campaign.paths.posterior)
    np.testing.assert_array_equal(read.posterior[["intercept", "slope"]], stored.parameters)
    np.testing.assert_array_equal(read.posterior["deviance"], stored.deviance)
    assert read.polished["deviance"].is_monotonic_increasing
    assert read.polished.index.name == "search"
    draws = campaign.paths.posterior_table.read_text().splitlines()
    assert draws[0] == "intercept,slope,minus_two_log_likelihood"
    assert len(draws) == 1 + len(Posterior.read(campaign.paths.posterior))


def test_searches_that_are_left_out_are_the_default_number(matching):
    campaign = matching("Line", LINE, count=200)
    left_out = campaign.model_copy(update={"polish": campaign.polish.model_copy(update={"count": None})})
    assert left_out.identity("polished") == campaign.identity("polished")


def test_a_start_that_cannot_be_simulated_is_drawn_again(tmp_path, matching):
    own = tmp_path / "fragile.py"
    line = "parameters[:, :1] + parameters[:, 1:2] * TIMES"
    source = MODELS.read_text().replace(line, f"np.where(parameters[:, :1] > 5, np.nan, {line})")
    own.write_text(source.replace('"line"', '"fragile line"').replace('"predators"', '"fragile predators"'))
    campaign = matching("Line", LINE, model={"name": f"{own}:Line"})
    found = Polished.read(campaign.paths.polished)
    assert np.isfinite(found.deviance).all()
    assert (found.starts[:, 0] < 5).all()
    assert found.parameters[:, 0] == pytest.approx(of_the_line()[0][0], abs=1e-3)


def test_draws_are_of_all_walkers(matching):
    campaign = matching("Line", LINE, draws=100)
    infer(campaign)
    chain, draws = Chain.read(campaign.paths.chain), Posterior.read(campaign.paths.posterior)
    walker_of = {value: k for k, column in enumerate(chain.deviances.T) for value in column.tolist()}
    assert len({walker_of[value] for value in draws.deviance.tolist()}) == chain.places.shape[1]


def test_a_model_that_does_not_say_whether_seeds_count_is_asked(tmp_path, matching):
    own = tmp_path / "noisy.py"
    noise = "parameters[:, 1:2] * TIMES + np.array([np.random.default_rng(s).normal(size=21) for s in seeds])"
    source = MODELS.read_text().replace("parameters[:, 1:2] * TIMES", noise)
    source = source.replace("stochastic = False\n    space = ParameterSpace([P", "space = ParameterSpace([P")
    own.write_text(source.replace('"line"', '"noisy line"').replace('"predators"', '"other predators"'))
    with pytest.raises(InputError, match="gives other numbers with other seeds"):
        matching("Line", LINE, model={"name": f"{own}:Line"})


def test_a_campaign_that_searches_nothing_is_told_so(matching):
    campaign = matching("Line", LINE)
    none = campaign.model_copy(update={"polish": campaign.polish.model_copy(update={"count": 0})})
    with pytest.raises(InputError, match="searches for no best sets"):
        polish(none)
    none = campaign.model_copy(update={"posterior": campaign.posterior.model_copy(update={"draws": 0})})
    with pytest.raises(InputError, match="samples no posterior"):
        infer(none)


def test_too_few_draws_and_searches_are_said_so(matching):
    campaign = matching("Line", LINE, count=2, posterior={"draws": 1000, "simulations": 2000})
    infer(campaign)
    doubts = fitted.doubts(Results(Campaign.open(campaign.paths.root)))
    assert any("Only 2 of 2 searches came within 1 of the best" in doubt for doubt in doubts)
    assert any("1,000 independent draws of the posterior that were asked for" in doubt for doubt in doubts)


def test_a_model_of_chance_has_no_likelihood_of_its_own(tmp_path):
    write_table(tmp_path / "measured.csv", [("y", 0, 1, 1)])
    own = tmp_path / "chance.py"
    own.write_text(
        MODELS.read_text()
        .replace("stochastic = False", "stochastic = True")
        .replace('"line"', '"chance"')
        .replace('"predators"', '"hunters"')
    )
    values = {
        "name": "c",
        "seed": 1,
        "model": {"name": f"{own}:Line"},
        "screen": {
            "by": "model",
            "count": 1000,
            "block_size": 1000,
            "objective": {
                "name": "match",
                "options": {"observations": str(tmp_path / "measured.csv")},
                "target": ["fits"],
            },
        },
    }
    with pytest.raises(InputError, match="the model is stochastic"):
        Campaign.from_dict(values)
    assert Campaign.from_dict({**values, "polish": {"count": 0}}).drawn == 0


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"polish": {"count": 5}}, "polish.count searches for sets that explain measured data"),
        ({"posterior": {"draws": 5}}, "posterior.draws are about measured data"),
    ],
)
def test_other_objectives_have_nothing_to_fit(sections, message):
    with pytest.raises(InputError, match=message):
        Campaign.from_dict(
            {"name": "c", "seed": 1, "simulations": {"count": 1000}, "screen": {"count": 1_000_000}, **sections}
        )


@pytest.fixture
def by_emulators(tmp_path):
    """Return a function that fits the line by emulators that know it, with some error of theirs."""

    def run(simulated=600, epochs=60, draws=500):
        write_table(tmp_path / "measured.csv", LINE)
        campaign = Campaign.from_dict(
            {
                "name": "matched",
                "results": str(tmp_path / "results"),
                "seed": 5,
                "model": {
                    "name": f"{MODELS}:Line",
                    "parameters": {"intercept": {"low": -1, "high": 3}, "slope": {"low": 0, "high": 1}},
                },
                "simulations": {"count": simulated, "shard_size": simulated},
                "emulators": {
                    "members": 3,
                    "combine": "mean",
                    "architecture": {"network": "dense", "width": 64, "blocks": 2},
                    "training": {"epochs": epochs, "batch_size": 64},
                },
                "screen": {
                    "count": 2000,
                    "block_size": 2000,
                    "objective": {
                        "name": "match",
                        "options": {"observations": str(tmp_path / "measured.csv")},
                        "target": ["fits"],
                    },
                },
                "validation": {"limit": 50},
                "polish": {"count": 10, "by": "emulators"},
                "posterior": {"draws": draws, "simulations": 400_000},
            }
        )
        campaign.record()
        simulate(campaign, 0)
        merge(campaign)
        for member in range(3):
            train(campaign, member)
        evaluate(campaign)
        screen_block(campaign, 0)
        gather_screen(campaign)
        validate(campaign)
        polish(campaign)
        infer(campaign)
        return campaign

    return run


def test_a_posterior_by_emulators_is_the_models_own_since_draws_are_simulated_and_weighed(by_emulators):
    campaign = by_emulators()
    mean, covariance = of_the_line()
    draws = Posterior.read(campaign.paths.posterior, campaign.identity("posterior"))
    deviations = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.parameters.mean(axis=0) - mean) < 0.2 * deviations).all()
    assert draws.parameters.std(axis=0) == pytest.approx(deviations, rel=0.15)
    summary = PosteriorSummary.read(campaign.paths.posterior_summary)
    assert summary.simulated == 500
    assert 50 < summary.effective <= 500
    assert summary.independent <= summary.effective
    assert {about.known for about in summary.parameters.values()} == {"determined"}
    # −2 ln L of draws, and of what was polished, is the model's.
    residuals = (np.array([row[2] for row in LINE]) - draws.parameters @ np.stack([np.ones(11), T])) / 0.4
    expected = np.square(residuals).sum(axis=1) + 11 * np.log(2 * np.pi * 0.16)
    np.testing.assert_allclose(draws.deviance, expected, rtol=1e-4)
    best = Polished.read(campaign.paths.polished, campaign.identity("polished"))
    residuals = (np.array([row[2] for row in LINE]) - best.parameters @ np.stack([np.ones(11), T])) / 0.4
    np.testing.assert_allclose(
        best.deviance, np.square(residuals).sum(axis=1) + 11 * np.log(2 * np.pi * 0.16), rtol=1e-4
    )
    assert (np.diff(best.deviance) >= 0).all()
    assert (best.searched != best.deviance).all()
    assert best.parameters[0] == pytest.approx(mean, abs=0.3)


@pytest.mark.long
def test_a_posterior_of_emulators_that_know_little_is_told_so(by_emulators):
    campaign = by_emulators(simulated=100, epochs=2, draws=200)
    summary = PosteriorSummary.read(campaign.paths.posterior_summary)
    assert summary.effective < 20
    assert not summary.enough
    doubts = fitted.doubts(Results(Campaign.open(campaign.paths.root)))
    assert any("200 draws that it simulated count as" in doubt for doubt in doubts)


def test_emulators_polish_nothing_where_the_model_screens():
    with pytest.raises(InputError, match=r"polish\.by: emulators: there are none with screen\.by: model"):
        Campaign.from_dict(
            {
                "name": "c",
                "seed": 1,
                "screen": {"by": "model", "count": 1_000_000},
                "polish": {"by": "emulators"},
            }
        )
