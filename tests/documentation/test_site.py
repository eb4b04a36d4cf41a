"""The documentation as a site: built strictly, without a network, and read as files."""

import inspect
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import mechscreen
from campaigns import BIN, ROOT
from mechscreen.campaign.table import keys
from mechscreen.cli import cli

pytest.importorskip("mkdocs")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PUBLIC = ("mechscreen", "mechscreen.models", "mechscreen.reading", "mechscreen.discovery", "mechscreen.spaces")
"""Modules whose names people import."""
API = re.findall(r"^::: (\S+)$", (ROOT / "docs/reference/api.md").read_text(), re.MULTILINE)


class Page(HTMLParser):
    """What a page loads by itself, where it leads, and the places on it."""

    LOADED = (("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"))

    def __init__(self, path):
        super().__init__()
        self.loaded, self.links, self.places = set(), set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if (tag, name) in self.LOADED:
                self.loaded.add(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.add(value)
            elif name == "id":
                self.places.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make site` does where no server answers."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [BIN / "mkdocs", "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def outside(address):
    return address.startswith("//") or urlsplit(address).scheme not in ("", "data", "mailto")


def test_no_page_loads_anything_from_elsewhere(site, pages):
    assert len(pages) > 40
    assert not {(path.name, address) for path, page in pages.items() for address in page.loaded if outside(address)}
    sheets = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    assert sheets
    found = {(path.name, url) for path, text in sheets.items() for url in re.findall(r"url\(['\"]?([^)'\"]+)", text)}
    assert not {(name, url) for name, url in found if outside(url)}
    assert not [path for path, text in sheets.items() if "@import" in text]


def test_every_link_of_a_page_leads_to_a_file_and_to_a_place_there(site, pages):
    broken = set()
    for path, page in pages.items():
        for link in (page.links | page.loaded) - {"."}:
            if outside(link) or link.startswith(("data:", "mailto:")):
                continue
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            places = pages[target].places if target in pages and parts.fragment else {unquote(parts.fragment)}
            if not target.is_file() or unquote(parts.fragment) not in places:
                broken.add((str(path.relative_to(site)), link))
    assert not broken


def test_the_reference_has_every_key_command_and_public_name(site, pages):
    assert {key.name for key in keys() if key.effect} <= pages[site / "reference/configuration.html"].places
    assert set(cli.commands) <= pages[site / "reference/command-line.html"].places
    told = {id(found(name)) for name in API}
    public = [name for name in [*mechscreen.__all__, "open"] if name != "__version__"]
    assert not [name for name in public if id(getattr(mechscreen, name)) not in told]


def found(name):
    """Return what a dotted name stands for."""
    module, _, last = name.rpartition(".")
    return getattr(__import__(module, fromlist=[last]), last)


def exported():
    modules = {module: __import__(module, fromlist=["__all__"]).__all__ for module in PUBLIC}
    return sorted({*API, *(f"{module}.{name}" for module, names in modules.items() for name in names)})


@pytest.mark.parametrize("name", exported())
def test_a_public_name_has_a_docstring_and_so_has_what_it_offers(name):
    what = found(name)
    assert what.__doc__
    members = vars(what).items() if inspect.isclass(what) else ()
    offered = [key for key, value in members if not key.startswith("_") and (callable(value) or hasattr(value, "fget"))]
    # Of a method that a class takes over from another one, that one says what it does.
    assert not [key for key in offered if not inspect.getdoc(getattr(what, key))]


def test_every_page_says_in_its_first_lines_what_it_is_for():
    for path in sorted((ROOT / "docs").rglob("*.md")):
        head, _, first = path.read_text(encoding="utf-8").partition("\n\n")[0:3]
        assert re.match(r"# \S", head), path
        assert re.match(r"[A-Z`*]", first), f"{path} begins with {first[:40]!r}"


def test_every_page_that_the_code_names_is_there():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    missing = set()
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".yaml", ".smk", ".json", ".toml", ".md", ".def", ".ipynb", ""} and path.is_file():
            for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8", errors="replace")):
                missing |= {(name, page)} if not (ROOT / page).is_file() else set()
    assert not missing


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_the_search_works_on_pages_that_are_opened_as_files(site):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    address = f"{(site / 'index.html').as_uri()}?q=posterior"
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=100)
    assert re.search(r"\d+ matching documents", done.stdout)


def test_the_site_is_no_part_of_the_repository():
    ignored = subprocess.run(["git", "check-ignore", "site/index.html"], cwd=ROOT, capture_output=True)
    assert ignored.returncode == 0
    assert not (Path(ROOT) / "docs/site").exists()
