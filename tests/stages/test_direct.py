"""Screens by the model itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from deadlines import StopAfter
from mechscreen import resumable, storage
from mechscreen.campaign import NOT_SIMULATED, Campaign
from mechscreen.errors import InputError, ModelError
from mechscreen.figures import figure_names, get_figure
from mechscreen.models.outputs import Status
from mechscreen.ranks import Interrupted
from mechscreen.reports.results import Results
from mechscreen.runs.jobs import rules
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.schemas.screen import PartialBlock, ScreenBlock, ScreenSummary
from mechscreen.schemas.validation import ValidatedHits, ValidationSummary
from mechscreen.stages import direct, simulate
from mechscreen.stages import screen as stage
from mechscreen.stages.report import draw, report
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.search import Search
from mechscreen.stages.validate import validate
from mechscreen.tally import random_keys

MODEL = Path(__file__).with_name("noisy.py")
RISES = {
    "name": f"{MODEL}:rises",
    "options": {"classes": ["falls", "rises", "rises far"]},
    "target": ["rises far"],
}


@pytest.fixture
def noisy(tmp_path):
    """Return a function that makes the campaign, with some options of its model or settings of its screen changed."""

    def campaign(options=None, validation=None, **screen):
        return Campaign.from_dict(
            {
                "name": "noisy",
                "results": str(tmp_path / "results"),
                "seed": 5,
                "model": {"name": f"{MODEL}:Noisy", "options": options or {}},
                "screen": {
                    "by": "model",
                    "count": 4000,
                    "block_size": 2000,
                    "bins": 4,
                    "objective": RISES,
                    **screen,
                },
                "validation": validation or {"limit": 50},
            }
        )

    return campaign


@pytest.fixture
def straightforward(noisy):
    """Positions, parameters and simulations of the first block, one by one."""
    campaign = noisy()
    unit = sample_unit("uniform", campaign.seed, 0, 2000, 3, "screen")
    physical = campaign.space.physical(unit)
    seeds = sample_seeds(campaign.seed, 0, 2000, "screen seeds")
    runs = np.flatnonzero(physical[:, 0] >= 0.01)
    return unit, physical, runs, campaign.model_instance.simulate(physical[runs], seeds=seeds[runs])


def read(campaign, number=0):
    return ScreenBlock.read(campaign.paths.block(number), campaign.identity("screen"))


def test_a_block_holds_the_counts_hits_and_failures_of_a_straightforward_simulation(noisy, straightforward):
    campaign = noisy()
    unit, physical, runs, result = straightforward
    labels = np.full(2000, 3)
    ok = runs[result.status == Status.OK]
    profiles = result.profiles[result.status == Status.OK]
    rising = profiles[:, 0, 0] / profiles[:, 0].max(axis=1)
    labels[ok] = np.where(rising < 0.5, 2, (rising < 1).astype(int))
    screen_block(campaign, 0)
    block = read(campaign)
    assert block.axes.class_names.tolist() == ["falls", "rises", "rises far", NOT_SIMULATED]
    np.testing.assert_array_equal(block.classes, np.bincount(labels, minlength=4))
    assert min(np.bincount(labels)) > 50, "each class must be there for this test to mean anything"
    expected, *_ = np.histogram2d(unit[labels == 3, 0], unit[labels == 3, 1], bins=4, range=[[0, 1], [0, 1]])
    np.testing.assert_array_equal(block.planes[3, 0], expected)
    np.testing.assert_array_equal(block.hits.index, np.flatnonzero(labels == 2))
    np.testing.assert_array_equal(block.hits.parameters, physical[labels == 2])
    place = np.searchsorted(runs, block.hits.index)
    np.testing.assert_array_equal(block.hits.profiles, result.profiles[place].astype(np.float32))
    assert not block.hits.disagreement.any()
    assert (block.totals.hits_found, block.totals.hits_discarded) == (len(block.hits.index), 0)
    failed = np.flatnonzero(labels == 3)
    np.testing.assert_array_equal(block.failed_index, np.sort(failed[np.argsort(random_keys(failed))[:200]]))
    np.testing.assert_array_equal(block.failed_parameters, physical[block.failed_index])
    raised = block.failed_parameters[:, 0] < 0.01
    assert (block.failed_status == np.where(raised, Status.ERROR, Status.NOT_FINITE)).all()
    assert set(block.failed_reasons[~raised]) == {"does not converge"}
    assert all(reason.startswith("ValueError: a = 0.00") for reason in block.failed_reasons[raised])


MANY_RANKS = """
import sys
from pathlib import Path
from mpi4py import MPI
from mechscreen import resumable
from mechscreen.campaign import Campaign
from mechscreen.ranks import Ranks
from mechscreen.stages import screen as stage
from mechscreen.stages.screen import screen_block

stage._TOLD_PER_SECOND = 1e9
world = MPI.COMM_WORLD
config = Path(sys.argv[1])
campaign = Campaign.load(config)
for ranks in (1, 2, 3):
    takes_part = world.Get_rank() < ranks
    comm = world.Split(0 if takes_part else 1)
    # Once each rank tells of every batch, else of all in the end.
    resumable.SAVE_EVERY = 0.0 if ranks == 2 else 100.0
    if takes_part:
        path = screen_block(campaign, 1, Ranks(comm if ranks > 1 else None))
    if world.Get_rank() == 0:
        path.rename(config.with_name(f"{ranks}.h5"))
    world.Barrier()
"""


@pytest.mark.parametrize("kept", [10_000, 30])
def test_a_block_is_the_same_with_one_two_and_three_ranks(noisy, mpiexec, tmp_path, kept):
    campaign = noisy(hits_per_block=kept)
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
    (tmp_path / "many.py").write_text(MANY_RANKS)
    process = mpiexec(3, tmp_path / "many.py", tmp_path / "campaign.yaml")
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    contents = [(tmp_path / f"{ranks}.h5").read_bytes() for ranks in (1, 2, 3)]
    assert contents[0] == contents[1] == contents[2]


def test_an_interrupted_block_is_continued_to_the_same_bytes_and_simulates_nothing_twice(noisy, monkeypatch):
    campaign = noisy()
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.unlink()
    partial = path.with_name(path.name + ".partial")
    looked_at = []
    look_at = direct.Direct.look_at

    def counting_look(self, start, stop, counts):
        looked_at.extend(range(start, stop))
        return look_at(self, start, stop, counts)

    monkeypatch.setattr(direct.Direct, "look_at", counting_look)
    for looks in (1, 3):
        with pytest.raises(Interrupted, match="samples are saved, since the time limit is near"):
            screen_block(campaign, 0, deadline=StopAfter(looks))
        assert partial.exists()
    assert 0 < len(looked_at) < 2000
    done = storage.read(partial, PartialBlock.kind, campaign.identity("screen"))["done"]
    assert np.flatnonzero(done).tolist() == sorted(looked_at)
    screen_block(campaign, 0)
    assert sorted(looked_at) == list(range(2000))
    assert path.read_bytes() == whole
    assert not partial.exists()


def test_samples_that_the_deadline_cut_are_left_to_the_next_attempt(noisy, monkeypatch):
    campaign = noisy()
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(direct, "_LARGEST", 100)
    attempt, calls = simulate._attempt, []

    def cut(task, simulator, rows, sensitivity):
        calls.append(len(rows))
        if len(calls) in (3, 7):
            raise simulate.Abandoned
        return attempt(task, simulator, rows, sensitivity)

    monkeypatch.setattr(simulate, "_attempt", cut)
    with pytest.raises(Interrupted):
        screen_block(campaign, 0, deadline=StopAfter(10))
    screen_block(campaign, 0)
    assert path.read_bytes() == whole


def test_many_samples_in_one_call_fail_alone(noisy, monkeypatch, straightforward):
    """A large call that fails is cut into smaller ones, and these into samples."""
    campaign = noisy()
    _, physical, _, _ = straightforward
    sizes = []
    attempt = simulate._attempt

    def noted(task, simulator, rows, sensitivity):
        sizes.append(len(rows))
        return attempt(task, simulator, rows, sensitivity)

    monkeypatch.setattr(simulate, "_attempt", noted)
    search = Search(campaign)
    with direct.looking(search, 0, False, StopAfter(0)) as model:
        seen = model.look_at(0, 2000, search.no_counts())
    raising = np.flatnonzero(physical[:, 0] < 0.01)
    pieces = len(np.unique(raising // 64))
    assert 1 <= pieces < 32
    assert seen.batches == [(0, 2000)]
    assert sizes.count(2000) == 1
    assert sizes.count(1) <= 64 * pieces
    assert set(raising) <= set(seen.failures.index)
    assert not set(seen.hits.index) & set(seen.failures.index)


def test_a_mistake_of_the_code_ends_the_screen(noisy):
    with pytest.raises(ModelError, match=r"fails for each of the first \d+ samples: WrongSolution: .*Solution"):
        screen_block(noisy({"mistake": True}), 0)


def test_a_damaged_block_is_made_anew_and_one_of_emulators_is_not_taken(noisy, caplog):
    campaign = noisy()
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    screen_block(campaign, 0)
    assert path.read_bytes() == whole
    assert "making it anew" in caplog.text
    emulated = Campaign.from_dict(
        campaign.model_dump(mode="json")
        | {"simulations": {"count": 1000}, "screen": campaign.screen.model_dump(mode="json") | {"by": "emulators"}}
    )
    with pytest.raises(storage.FileError, match=r"screen\.by = model, this campaign says emulators"):
        stage.Search(emulated).read_block(0)


def run(campaign):
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)
    report(campaign)


def text_of(campaign):
    plain = re.sub(r"<(script|style)\b.*?</\1>", " ", campaign.paths.report.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", plain))


def test_the_report_of_a_stochastic_model_says_what_other_seeds_make_of_its_hits(noisy):
    campaign = noisy()
    run(campaign)
    summary = ScreenSummary.read(campaign.paths.screen_summary)
    failed = int(summary.classes[3])
    blocks = [read(campaign, number) for number in range(2)]
    assert failed == sum(int(block.classes[3]) for block in blocks)
    kept = np.concatenate([block.failed_index for block in blocks])
    np.testing.assert_array_equal(summary.failed_index, np.sort(kept[np.argsort(random_keys(kept))[:200]]))
    hits = ValidatedHits.read(campaign.paths.validation_hits)
    same = int(hits.same_class.sum())
    assert 0 < same < 50, "chance must decide some for this test to mean anything"
    text = text_of(campaign)
    assert f"each simulated by the {campaign.about.model.title} model itself, {summary.classes[2]:,} hits" in text
    assert f"{failed} ({failed / 40:.1f} %) could not be simulated" in text
    assert f"Of 50 hits (random sample) simulated again with other seeds, {same} were of the same class" in text
    assert re.search(r"not finite\s+does not converge\s+\d+", text)
    assert "disagree" not in text.split("Configuration")[0]
    assert "emulated" not in text.split("Configuration")[0]
    assert f"{same} of 50 hits with other seeds of the same class" in campaign.paths.summary.read_text()
    assert Results(campaign).class_names[-1] == NOT_SIMULATED
    # An independent repeat: the share of hits among new seeds at the same parameters.
    again = campaign.model_instance.simulate(hits.parameters, seeds=np.arange(len(hits)) + 10**6)
    share = (again.profiles[:, 0, 0] < 0.5).mean()
    low, high = ValidationSummary.read(campaign.paths.validation_summary).same_class.interval
    assert low - 0.15 < share < high + 0.15


def test_a_figure_needs_no_other_file_than_it_names(noisy, tmp_path):
    original = noisy()
    run(original)
    for name in figure_names(original):
        alone = Campaign.from_dict(original.model_dump(mode="json") | {"results": str(tmp_path / name)})
        for path in get_figure(original, name).inputs(original).values():
            target = alone.paths.root / path.relative_to(original.paths.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        assert draw(alone, name).read_bytes() == original.paths.figure(name).read_bytes()


def test_the_report_of_a_deterministic_model_says_that_hits_need_no_check(noisy):
    campaign = noisy({"noise": 0.0}, count=2000)
    run(campaign)
    hits = ValidatedHits.read(campaign.paths.validation_hits)
    assert hits.stands.all()
    assert hits.rmse.max() < 1e-6
    assert "all gave the same numbers: the model takes no account of seeds" in text_of(campaign)
    assert "all of 50 hits with other seeds gave the same numbers" in campaign.paths.summary.read_text()


def test_without_a_hit_there_is_a_report(noisy):
    campaign = noisy({"noise": 0.0}, count=2000, parameters={"b": {"low": 0.0, "high": 0.4}})
    run(campaign)
    assert "itself, no hit (rises far): 0.0 %" in text_of(campaign)


def test_only_what_the_model_depends_on_remakes_the_screen(noisy):
    campaign = noisy()
    same = {"emulators": {"members": 3}, "simulations": {"count": 3000, "sampling": "sobol"}, "dataset": {}}
    assert Campaign.from_dict(campaign.model_dump(mode="json") | same).identity("validation") == campaign.identity(
        "validation"
    )
    other = noisy({"noise": 0.5})
    assert other.fingerprint("screen") != campaign.fingerprint("screen")
    assert "model.options.noise" in dict.fromkeys(other.identity("screen").values)


def test_a_campaign_by_the_model_has_no_jobs_of_emulators(noisy):
    made = [rule.name for rule in rules(noisy())]
    assert made == ["screen_block", "gather_screen", "validate_hits", "draw_figure", "write_report"]
    figures = next(rule for rule in rules(noisy()) if rule.name == "draw_figure").targets
    assert list(figures) == ["again", "corner", "plane", "marginals"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"screen": {"mode": "cascade"}}, "'screen': mode: cascade is for an ensemble"),
        ({"learning": {"sizes": [10]}}, r"learning\.sizes is about emulators, and screen\.by: model has none"),
        ({"base": "other"}, "base is about emulators"),
        ({"selection": {"campaign": "other"}}, "selection is about emulators"),
        ({"screen": {"by": "emulators"}}, r"'simulations\.count' is 0: input should be greater"),
        ({"screen": {"by": "modell"}}, r"'screen\.by' is 'modell'"),
        (
            {"screen": {"objective": {**RISES, "options": {"classes": ["a", NOT_SIMULATED]}, "target": ["a"]}}},
            "names the samples that the model fails for; give the class another name",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(noisy, change, message):
    values = noisy().model_dump(mode="json")
    changed = {key: {**(values[key] or {}), **part} if isinstance(part, dict) else part for key, part in change.items()}
    with pytest.raises(InputError, match=message):
        Campaign.from_dict(values | changed)


def test_a_screen_by_the_model_loads_no_network_library(noisy, tmp_path):
    (tmp_path / "campaign.yaml").write_text(noisy().to_yaml())
    code = (
        "import sys; from mechscreen.campaign import Campaign; from mechscreen.stages.screen import screen_block; "
        "screen_block(Campaign.load(sys.argv[1]), 0); print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "campaign.yaml")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_what_a_rank_saw_is_told_from_time_to_time(noisy, monkeypatch):
    """With a save for every batch, the file that waits for the next attempt has what was simulated by then."""
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(resumable, "SAVE_SHARE", 1e9)
    monkeypatch.setattr(stage, "_TOLD_PER_SECOND", 1e9)
    monkeypatch.setattr(direct, "_LARGEST", 64)
    campaign = noisy()
    saved = []
    save = stage._Block.save
    monkeypatch.setattr(stage._Block, "save", lambda self: (saved.append(self.done), save(self))[1])
    screen_block(campaign, 0)
    assert len(saved) > 10
    assert saved == sorted(saved)
