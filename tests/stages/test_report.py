import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from html import unescape

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from campaigns import EXAMPLE, ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.cli import cli
from mechscreen.errors import FileError, InputError
from mechscreen.figures import SECTIONS, figure_names, get_figure
from mechscreen.figures.style import read_metadata
from mechscreen.registry import FIGURES
from mechscreen.reports.results import Results
from mechscreen.schemas.screen import ScreenHits, ScreenSummary
from mechscreen.stages.compare import compare
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.report import draw, report
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.validate import validate

BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\n{}\t0:00:30\t{}\t900\n"


def findings_of(campaign):
    """Run the stages between the networks and the report."""
    evaluate(campaign)
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("finished") / "bumps"


@pytest.fixture
def finished(trained, kept):
    """Return a campaign that was run to its report, with its results in a folder of its own."""
    campaign = trained()
    root = campaign.paths.root
    if kept.exists():
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        return campaign
    findings_of(campaign)
    benchmarks = root / "benchmarks" / "simulate"
    benchmarks.mkdir(parents=True)
    (benchmarks / "shard-00000.tsv").write_text(BENCHMARK.format(30.0, 512.5))
    (benchmarks / "shard-00001.tsv").write_text(BENCHMARK.format(60.0, "NA"))
    report(campaign)
    shutil.copytree(root, kept)
    return campaign


def test_a_copied_folder_is_reported_on_from_anywhere_without_the_code_of_the_model(finished, tmp_path, monkeypatch):
    finished.record()
    copied = tmp_path / "elsewhere/copied"
    shutil.copytree(finished.paths.root, copied)
    for name in ("report.html", "summary.txt"):
        (copied / name).unlink()
    shutil.rmtree(copied / "figures")
    monkeypatch.chdir("/")
    monkeypatch.setattr("mechscreen.models.setup.get_model", refused)
    monkeypatch.setattr("mechscreen.registry.load_object", refused)
    report(Campaign.open(copied))
    root = str(finished.paths.root)
    assert (copied / "summary.txt").read_text() == finished.paths.summary.read_text().replace(root, str(copied))
    for name in figure_names(finished):
        assert (copied / "figures" / f"{name}.png").is_file()


def refused(*arguments, **options):
    raise AssertionError("the code of a user would run")


def changed(campaign, **values):
    return Campaign.from_dict(campaign.model_dump(mode="json") | values)


def with_hits(campaign, rows):
    """Change the results to those of a screen that found some of its hits only, and validate them."""
    paths = campaign.paths
    hits = storage.read(paths.screen_hits, ScreenHits.kind)
    summary = storage.read(paths.screen_summary, ScreenSummary.kind)
    columns = ("index", "parameters", "labels", "disagreement", "profiles", "log_peaks")
    few = {name: values[rows] if name in columns else values for name, values in hits.arrays.items()}
    n = len(few["index"])
    found = {"hits_found": n, "hits_kept": n, "hits_discarded": 0}
    counts = dict(summary.arrays)
    counts["planes"] = counts["planes"].copy()
    counts["planes"][list(campaign.targets)] = 0
    if n:
        counts["planes"][list(campaign.targets), :, 0, 0] = n
    storage.write(paths.screen_hits, few, {**hits.attributes, **found})
    storage.write(paths.screen_summary, counts, {**summary.attributes, **found})
    paths.validation_hits.unlink()
    validate(campaign)


def text_of(path):
    return unescape(re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8")))


def test_the_report_says_what_the_files_say(finished):
    html, text = finished.paths.report.read_text(encoding="utf-8"), text_of(finished.paths.report)
    metrics = storage.read_json(finished.paths.metrics)
    validation = storage.read_json(finished.paths.validation_summary)
    screen = storage.read(finished.paths.screen_summary, ScreenSummary.kind).attributes
    assert validation["validated"] == 60, "the test needs hits"
    assert f"Among 30,000 parameter sets, the emulators found {screen['hits_found']:,} hits (2 rings)." in text
    near, same = validation["confirmed"]["count"], validation["same_class"]["count"]
    assert f"Of 60 hits simulated by the bumps-of-the-tests model (random sample), {near} came within" in text
    assert f"and {same} were of the emulated class ({100 * same / 60:.1f} %, 95 % interval" in text
    assert re.search(
        rf"2 rings\s+{screen['hits_found']:,}\s+60\s+{near}\s+{100 * near / 60:.1f} %, 95 % interval", text
    )
    assert f"one network: {np.mean([m['rmse'] for m in metrics['members']]):.3g} (mean)" in text
    assert f"{metrics['ensemble']['rmse']:.3g}" in text
    assert all(finished.fingerprint(stage) in text for stage in ("simulations", "validation"))
    assert "block_size: 10000" in text
    # Two jobs of 1.5 minutes together; memory that was not measured does not hide the one that was.
    assert re.search(r"simulate\s+2\s+1 min 30 s\s+1 min 0 s\s+512", text)
    assert html.count("data:image/webp;base64,") == len(figure_names(finished))
    shades = json.loads(re.search(r'id="explorer-data">(.*?)</script>', html)[1])["shades"]
    # The target, which is a class, and the other classes that the screen found.
    found = np.flatnonzero(storage.read(finished.paths.screen_summary, ScreenSummary.kind)["classes"])
    others = [f"{k} ring{'' if k == 1 else 's'}" for k in found if k != 2]
    assert [shade["name"] for shade in shades] == ["2 rings", *others]
    # Names that look like addresses, and pictures that may hold any text, load nothing.
    for name, href in re.findall(r'href="(figures/([^"]*))"', html):
        assert (finished.paths.root / name).stat().st_size > 0, href
    loads = re.sub(r'http-equiv="[^"]*"|http://www\.w3\.org/2000/svg|base64,[^"]*', "", html)
    assert "http" not in loads


def test_the_report_tells_its_story_in_order(finished):
    html = finished.paths.report.read_text(encoding="utf-8")
    assert re.findall(r'<h2 id="([^"]*)">', html) == list(SECTIONS)
    places = {name: html.index(f'<h3 id="{name}">') for name in figure_names(finished)}
    ends = [html.index(f'<h2 id="{key}">') for key in SECTIONS] + [len(html)]
    for name, place in places.items():
        k = list(SECTIONS).index(get_figure(finished, name).section)
        assert ends[k] < place < ends[k + 1]
    text = text_of(finished.paths.report)
    assert "Which parameter sets of the bumps-of-the-tests model give 2 rings?" in text
    assert "is not known: all that was simulated after the screen are hits" in text
    assert re.search(r"mechscreen hits \S+/bumps lists those to trust most", text)


def test_a_figure_stands_as_svg_and_its_data_beside_the_picture(finished):
    for name in figure_names(finished):
        assert finished.paths.figure(name, "svg").read_text(encoding="utf-8").startswith("<?xml")
        rows = list(csv.DictReader(io.StringIO(finished.paths.figure(name, "csv").read_text(encoding="utf-8"))))
        assert rows, name
    # What is drawn is what was stored: losses of the first member's training.
    history = list(csv.DictReader(io.StringIO((finished.paths.member(0) / "history.csv").read_text())))
    drawn = csv.DictReader(io.StringIO(finished.paths.figure("training", "csv").read_text(encoding="utf-8")))
    loss = [float(row["y"]) for row in drawn if row["panel"] == "1" and row["series"] == "member 0"]
    np.testing.assert_allclose(loss, [float(row["loss"]) for row in history], rtol=1e-5)


def test_every_picture_is_small_and_holds_the_caption_of_the_report(finished):
    text = text_of(finished.paths.report)
    for name in figure_names(finished):
        about = get_figure(finished, name)
        png = finished.paths.figure(name).read_bytes()
        caption = read_metadata(png)["Description"]
        assert len(png) < 300_000
        assert caption.startswith(about.text)
        assert len(caption) > len(about.text) + 10, "the numbers of the run are missing"
        assert caption in text


def test_the_summary_is_a_few_lines_for_the_end_of_a_run(finished):
    lines = finished.paths.summary.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "bumps: 2 rings in the bumps-of-the-tests model"
    assert [line.split()[0] for line in lines[1:]] == [
        "simulations",
        "test",
        "screened",
        "hits",
        "confirmed",
        "same",
        "report",
    ]
    assert lines[-1].endswith("/bumps/report.html")
    assert max(map(len, lines[:-1])) < 120


# Of two parameters, of screens by the model, of features, of probabilities: drawn where there are such (test_direct,
# test_features, test_calibrate, test_survey, test_rounds).
OTHERS = (
    "plane",
    "again",
    "features",
    "feature_accuracy",
    "calibration",
    "confidence",
    "rounds",
    "fits",
    "largest",
    "parameters",
    "robustness",
)


@pytest.mark.parametrize("name", [name for name in FIGURES.names() if name not in OTHERS])
def test_a_figure_needs_no_other_file_than_it_names(finished, tmp_path, name):
    original, alone = finished, changed(finished, results=str(tmp_path / "alone"))
    # What patterns there are comes with the metrics; evaluations of earlier versions have only these.
    beside = [original.paths.patterns] if name == "patterns" else []
    for item in [*get_figure(original, name).inputs(original).values(), beside]:
        for path in item if isinstance(item, list) else [item]:
            target = alone.paths.root / path.relative_to(original.paths.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    assert draw(alone, name) == alone.paths.figure(name)
    assert alone.paths.figure(name).read_bytes() == draw(original, name).read_bytes()


def test_a_cascade_is_reported_with_the_share_of_the_hits_that_it_finds(finished):
    screen = finished.screen.model_dump(mode="json") | {"mode": "cascade"}
    finished.record()
    cascade = changed(finished, name="cascade", base="bumps", screen=screen)
    findings_of(cascade)
    report(cascade)
    text = text_of(cascade.paths.report)
    screened = storage.read(cascade.paths.screen_summary, ScreenSummary.kind)
    audited, _ = screened["audit"]
    assert re.search(
        rf"Hits that the cascade finds\s+{100 * screened.attributes['recall']:.1f} %\s+95 % interval [\d.]+ % to "
        rf"[\d.]+ %, by {audited:,} audited samples; the whole ensemble looked at",
        text,
    )
    assert "Hits that the cascade finds" not in text_of(finished.paths.report)


def test_a_screen_without_hits_is_reported_as_such(finished):
    with_hits(finished, slice(0, 0))
    report(finished)
    text = text_of(finished.paths.report)
    assert "the emulators found no hit (2 rings)." in text
    assert "found no sample of the target" not in text, "that is said by the picture, not the page"
    assert "Confirmed: RMSE" not in text
    assert "none, since there is no hit" in finished.paths.summary.read_text(encoding="utf-8")


def test_a_single_hit_is_reported(finished):
    with_hits(finished, slice(0, 1))
    report(finished)
    text = text_of(finished.paths.report)
    assert "the emulators found 1 hit (2 rings)." in text
    assert re.search(r"Of 1 hit simulated by the bumps-of-the-tests model, [01] came within", text)


def test_the_report_draws_only_what_is_missing_or_older_than_its_files(finished):
    paths = {name: finished.paths.figure(name) for name in figure_names(finished)}
    now = time.time()
    for path in finished.paths.root.rglob("*"):
        os.utime(path, (now - 100, now - 100))
    for path in paths.values():
        os.utime(path, (now - 50, now - 50))
    os.utime(finished.paths.screen_summary, (now - 10, now - 10))
    paths["training"].unlink()
    report(finished)
    assert {name for name, path in paths.items() if path.stat().st_mtime > now - 5} == {
        "corner",
        "planes",
        "marginals",
        "training",
    }


def test_a_screen_of_two_parameters_with_the_networks_of_another_campaign_has_a_plane_and_its_lines(finished):
    finished.record()
    screen = finished.screen.model_dump(mode="json") | {"vary": ["place", "width"], "bins": 40}
    plane = changed(finished, name="plane", base="bumps", screen=screen)
    findings_of(plane)
    report(plane)
    assert plane.paths.root != finished.paths.root
    text = text_of(plane.paths.report)
    assert "The classes over the two parameters that vary" in text
    assert "Held: second" in read_metadata(plane.paths.figure("plane").read_bytes())["Description"]
    assert re.search(r"width = a \+ b · place", text)
    assert re.search(r"place = a \+ b / width", text)
    assert not plane.paths.figure("planes").exists()


def test_lines_and_picture_of_a_plane_are_the_right_way_round(finished, monkeypatch):
    finished.record()
    screen = finished.screen.model_dump(mode="json") | {"vary": ["place", "width"], "bins": 40, "count": 10_000}
    campaign = changed(finished, name="plane", base="bumps", screen=screen)
    screen_block(campaign, 0)
    gather_screen(campaign)
    # As many samples of the target in each bin of the place, where the width is 3 + place / 10.
    summary = storage.read(campaign.paths.screen_summary, ScreenSummary.kind)
    planes = np.zeros_like(summary["planes"])
    place, width = (low + (np.arange(40) + 0.5) / 40 * (high - low) for low, high in ((0, 60), (2, 12)))
    rows = np.abs(width[None] - (3 + place[:, None] / 10)).argmin(axis=1)
    planes[2, 0, np.arange(40), rows] = 50
    storage.write(campaign.paths.screen_summary, {**summary.arrays, "planes": planes}, summary.attributes)
    results = Results(campaign)
    lines = {(x.name, y.name, line.form): line for x, y, line in results.relations}
    line = lines["place", "width", "linear"]
    assert (line.intercept, line.slope) == (pytest.approx(3, abs=0.1), pytest.approx(0.1, rel=0.03))
    assert lines["width", "place", "linear"].slope == pytest.approx(10, rel=0.05)
    shown = []
    for x, y in (results.varied, results.varied[::-1]):
        results = Results(campaign)
        results.relations = [(x, y, lines[x.name, y.name, "linear"])]
        monkeypatch.setattr("mechscreen.figures.plane.draw", lambda *given: shown.append(given))
        FIGURES.get("plane").draw(results)
        assert [parameter.name for parameter in shown[-1][:2]] == [x.name, y.name]
        across, up = np.nonzero(shown[-1][2][2])
        assert np.polyfit(across, up, 1)[0] > 0
        assert len(set(across)) == (40 if x.name == "place" else len(set(rows)))


def test_an_unknown_figure_is_named_with_the_nearest_one(finished):
    with pytest.raises(InputError, match="no figure 'plane'; did you mean 'planes'"):
        draw(finished, "plane")


def test_results_of_another_campaign_and_missing_ones_are_named_and_nothing_is_written(finished):
    shutil.rmtree(finished.paths.figures)
    finished.paths.report.unlink()
    other = changed(finished, seed=8)
    with pytest.raises(FileError, match=r"summary\.h5: made with seed = 7, this campaign says 8"):
        draw(other, "planes")
    with pytest.raises(FileError, match="made with seed = 7, this campaign says 8"):
        report(other)
    finished.paths.metrics.write_text('{"campaign": "0123456789ab"}')
    with pytest.raises(FileError, match=r"metrics\.json: is no record of 'metrics'"):
        report(finished)
    history = finished.paths.member(1) / "history.csv"
    history.write_text("epoch,loss\n")
    with pytest.raises(FileError, match=r"history\.csv: not a history"):
        draw(finished, "training")
    history.unlink()
    with pytest.raises(FileError, match=r"history\.csv: does not exist"):
        draw(finished, "training")
    assert not finished.paths.figure("training").exists()
    assert not finished.paths.report.exists()


def test_the_workflow_reads_names_and_inputs_without_loading_heavy_libraries():
    code = (
        "import sys; from mechscreen.registry import FIGURES; from mechscreen.figures import get_figure; "
        "assert all(FIGURES.get(name).text for name in FIGURES.names()); "
        "print([name for name in ('matplotlib', 'numba', 'tensorflow', 'keras', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_only_classes_of_an_objective_that_counts_are_called_by_what_it_counts():
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    counted = Results(Campaign.from_dict(values))
    assert counted.classes == ["0 rings", "1 ring", "2 rings", "3 rings", "4 rings", "5 or more rings"]
    assert counted.target == "3 rings"
    own = {
        "name": f"{EXAMPLE}:stripe_position",
        "options": {"classes": ["20 to 40 min", "1", "steady"]},
        "target": ["20 to 40 min"],
    }
    values["screen"]["objective"] = own
    named = Results(Campaign.from_dict(values))
    assert named.classes == ["20 to 40 min", "1", "steady"]
    assert named.target == "20 to 40 min"


def test_two_campaigns_are_compared_on_one_page(finished):
    finished.record()
    screen = finished.screen.model_dump(mode="json") | {"count": 20_000}
    other = changed(finished, name="fewer", base="bumps", screen=screen)
    findings_of(other)
    other.record()
    done = CliRunner().invoke(cli, ["report", str(finished.paths.root), "--compare", str(other.paths.root)])
    assert done.exit_code == 0, done.output
    path = finished.paths.root / "compared-with-fewer.html"
    assert done.output.split() == [str(path)]
    html, text = path.read_text(encoding="utf-8"), text_of(path)
    assert re.search(r"screen\.count\s+30000\s+20000", text)
    found = [storage.read(one.paths.screen_summary, ScreenSummary.kind).attributes for one in (finished, other)]
    assert re.search(rf"hits\s+{found[0]['hits_found']:,}\s+{found[1]['hits_found']:,}", text)
    assert html.count("data:image/webp") == len(figure_names(finished)) + len(figure_names(other))
    for href in re.findall(r'href="([^"#][^"]*)"', html):
        assert (path.parent / href).is_file()


def test_a_campaign_is_not_compared_with_itself(finished):
    finished.record()
    with pytest.raises(InputError, match="is the campaign itself; give the folder of another one"):
        compare(finished, Campaign.open(finished.paths.root))
    assert not list(finished.paths.root.glob("compared-with-*"))
