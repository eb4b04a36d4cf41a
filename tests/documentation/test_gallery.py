"""The gallery: pages and configurations belong together, and what pages say is found again."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from campaigns import ROOT, run_stages
from mechscreen.campaign import Campaign
from mechscreen.cli import cli

sys.path.insert(0, str(ROOT / "docs"))
import gallery
from pieces import PIECES, QUICK

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/gallery").glob("*.md")}
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def test_every_piece_has_a_page_and_every_page_a_piece():
    assert set(PAGES) - {"index"} == set(PIECES)
    assert set(re.findall(r"\]\((\w+)\.md\)", PAGES["index"])) == set(PIECES)


@pytest.mark.parametrize("name", PIECES)
def test_a_page_has_its_configuration_its_commands_and_its_pictures(name):
    page, piece = PAGES[name], PIECES[name]
    assert gallery.part(page, "configuration") == gallery.configuration(name), f"make gallery ONLY={name}"
    assert f"](../../{piece.config})" in page
    assert f"--configfile {piece.config}\n" in page
    assert piece.before in page
    pictures = [*piece.pictures, *piece.drawn]
    shown = re.findall(r"\]\(\.\./images/([\w-]+\.png)\)", page)
    assert sorted(shown) == sorted(f"gallery-{name}-{picture}.png" for picture in pictures)
    assert all((ROOT / "docs/images" / picture).stat().st_size < 200_000 for picture in shown)


@pytest.mark.parametrize("name", PIECES)
def test_a_page_tells_what_its_campaign_found(name):
    title = yaml.safe_load((ROOT / PIECES[name].config).read_text())["name"]
    told = gallery.part(PAGES[name], "found")
    assert told.startswith(f"\n**{title}: ")
    assert " of processor time (" in told
    # What a campaign warns of, its page explains.
    assert ("BEWARE" in told) == ("BEWARE" in PAGES[name].replace(told, ""))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run campaigns in, without what earlier runs left in the checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(name):
    if PIECES[name].before:
        subprocess.run(shlex.split(PIECES[name].before), check=True)


@pytest.mark.parametrize("name", PIECES)
def test_a_configuration_is_right(name, folder):
    prepare(name)
    done = CliRunner().invoke(cli, ["check", PIECES[name].config])
    assert done.exit_code == 0, done.output


def numbers(text, label):
    """Return the numbers of a row of what was found."""
    line = re.search(rf"^\| {label} \| (.*) \|$", text, re.MULTILINE)[1]
    return [float(number.replace(",", "")) for number in NUMBER.findall(line)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", QUICK)
def test_the_quickest_find_again_what_their_pages_say(name, folder):
    """All the stages but figures and report; trainings differ a little between machines, and so do hits."""
    from mechscreen.reports.findings import summary
    from mechscreen.reports.results import Results

    prepare(name)
    campaign = Campaign.load(PIECES[name].config)
    campaign.record()
    run_stages(campaign)
    again = gallery.table(summary(Results(campaign)))
    said = gallery.part(PAGES[name], "found")
    for label in ("simulations", "screened"):
        assert numbers(again, label) == numbers(said, label)
    assert numbers(again, "test error")[0] == pytest.approx(numbers(said, "test error")[0], rel=0.3)
    assert numbers(again, "hits")[0] == pytest.approx(numbers(said, "hits")[0], rel=0.05)
    # Of 100 hits that are simulated.
    assert numbers(again, "confirmed")[0] == pytest.approx(numbers(said, "confirmed")[0], abs=8)
