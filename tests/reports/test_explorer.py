"""The interactive part of the report, run by a real browser where there is one."""

import base64
import io
import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest
from matplotlib.image import imread

from mechscreen.figures.pairs import pairs
from mechscreen.models import Output, Parameter
from mechscreen.reports import explorer
from mechscreen.reports.page import Page, Section, render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FOUND = [Section("found", "What was found", has_explorer=True), Section("next", "Next")]
PARAMETERS = [
    Parameter("rate", 0.0, 2.0, unit="1/h", symbol=r"$\alpha$"),
    Parameter("held", 3.0, 3.0, zero=0.0, one=6.0),
    Parameter("half</script>", 0.0, 80.0),
]
OUTPUTS = [
    Output("first", np.linspace(0, 5, 301), grid_name="radius", grid_unit="cm", compare="shape"),
    Output("second", np.arange(301), compare="shape"),
]


def shown(simulated, emulated):
    nothing = np.zeros(simulated.shape[:2])
    return pairs(OUTPUTS, (simulated, nothing), (emulated, nothing))


@pytest.fixture(scope="module")
def page():
    random = np.random.default_rng(2)
    simulated, emulated = random.random((2, 30, 2, 301))
    simulated[7] = np.nan
    hits = [
        {
            "sample": 100 + k,
            "parameters": [float(v) for v in (random.uniform(0, 2), 3.0, random.uniform(0, 80))],
            "rmse": None if k == 7 else 0.01 * k,
            "disagreement": 0.02,
            "emulated": "3 rings",
            "simulated": "failed (too <narrow>)" if k == 7 else "3 rings",
            "confirmed": k < 7,
            "stands": k < 5,
        }
        for k in range(30)
    ]
    densities = {"3 rings": random.random((1, 8, 8)) * 3}
    data = explorer.data(PARAMETERS, [0, 2], densities, shown(simulated, emulated), hits)
    return Page("hits & more", "", FOUND, explorer=data), hits


def browse(tmp_path, page, fragment="", then=""):
    """Return the page's elements as a browser has them after its script ran, and another one if there is."""
    path = tmp_path / "report.html"
    html = render(page)
    if then:  # the page's policy lets no script run but its own
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        html = html.replace("</body>", f"<script>{then}</script></body>")
    path.write_text(html, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command += ["--virtual-time-budget=3000", "--dump-dom", f"file://{path}{fragment}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome; install one to run this test")


@browser
def test_a_browser_shows_every_hit_and_the_profile_of_the_first(tmp_path, page):
    document, hits = browse(tmp_path, page[0]), page[1]
    section = document[document.index('<div id="explorer"') : document.index('<h2 id="next">')]
    assert "hidden" not in section[: section.index(">")], "the script did not run"
    assert section.count('class="stands"') == 5
    assert section.count('class="falls"') == 25
    assert "Hit 1 of 30: sample 100" in section
    assert "α [1/h]" in section
    assert "radius [cm]" in section
    values = re.findall(r'<th scope="row">([^<]*)</th><td class="number">([^<]*)</td>', section)
    assert [unescape(name) for name, _ in values] == ["RMSE", "disagreement", "rate [1/h]", "held", "half</script>"]
    np.testing.assert_allclose([float(value) for _, value in values[2:]], hits[0]["parameters"], rtol=1e-3)
    for way in ("simulated", "emulated"):
        (path,) = re.findall(rf'<path d="([^"]*)" class="{way}"', section)
        assert path.count("L") == 100, "301 points, every third"
        assert "NaN" not in path


@browser
def test_the_address_chooses_a_hit_and_a_failed_simulation_has_no_profile(tmp_path, page):
    section = browse(tmp_path, page[0], "#hit=107")
    assert "Hit 8 of 30: sample 107" in section
    assert "simulated: failed (too &lt;narrow&gt;); not confirmed" in section
    assert "simulation failed" in section
    assert 'class="emulated"></path>' in section
    assert 'class="simulated"></path>' not in section


CHOOSE = """
function choose(list, value) {
  const select = document.querySelector(`#explorer select.${list}`);
  select.value = value;
  select.dispatchEvent(new Event("change"));
}
"""


def hit(parameters):
    return {"sample": 1, "parameters": parameters, "rmse": 0.01, "disagreement": 0.02, "emulated": "3 rings",
            "simulated": "3 rings", "confirmed": True, "stands": True}  # fmt: skip


def images(document):
    """Return the pixels (rows from below, columns, 3), and the attributes, of each image of the explorer."""
    found = []
    for tag in re.findall(r"<image [^>]*>", document):
        about = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        encoded = about.pop("href").removeprefix("data:image/png;base64,")
        found.append((255 * imread(io.BytesIO(base64.b64decode(encoded)))[::-1, :, :3], about))
    return found


@browser
@pytest.mark.parametrize(
    ("then", "name", "plane", "swapped"),
    [
        ("", "target", 4, False),
        ("choose('along', 3); choose('up', 1);", "target", 4, True),
        ("choose('along', 0); choose('up', 2);", "target", 1, False),
        ("choose('along', 3); choose('up', 2); choose('shade', 1);", "class", 5, True),
    ],
)
def test_the_shade_is_the_chosen_density_over_the_chosen_plane(tmp_path, then, name, plane, swapped):
    random = np.random.default_rng(3)
    densities = {"target": random.random((6, 8, 8)), "class": 9 * random.random((6, 8, 8))}
    densities["target"][4] *= 3  # the plane of b and d has the most structure
    parameters = [Parameter(name, 0.0, 1.0) for name in "abcd"]
    profiles = random.random((1, 2, 301))
    data = explorer.data(parameters, [0, 1, 2, 3], densities, shown(profiles, profiles), [hit([0.5] * 4)])
    document = browse(tmp_path, Page("hits", "", FOUND, explorer=data), then=CHOOSE + then)
    ((image, _),) = images(document)
    red = image[..., 0]
    top = np.quantile(densities[name], 0.995)
    assert f'<span class="darkest">{top:.2g}</span>' in document
    level = np.clip(densities[name][plane] / top, 0, 1)
    expected = 255 - (255 - 0x56) * (level if swapped else level.T)
    np.testing.assert_allclose(red, expected, atol=2)


@browser
def test_marks_buttons_and_lists_choose_what_is_shown(tmp_path, page):
    click = "document.querySelectorAll('#explorer svg.plane .stands, #explorer svg.plane .falls')[11]"
    click += ".dispatchEvent(new Event('click'));"
    following = "document.querySelector('#explorer .next').click();"
    section = browse(tmp_path, page[0], then=click)
    assert "Hit 12 of 30: sample 111" in section
    section = browse(tmp_path, page[0], then=click + following + CHOOSE + "choose('output', 1);")
    assert "Hit 13 of 30: sample 112" in section
    chart = section[section.index('<svg class="profile"') :]
    chart = chart[: chart.index("</svg>")]
    assert "second" in chart
    assert "radius [cm]" not in chart


def of_outputs(outputs, simulated, emulated):
    """Return a page with hits of which these are the values, (n, size)."""
    parameters = [Parameter(name, 0.0, 1.0) for name in "ab"]
    nothing = np.zeros((len(simulated), len(outputs)))
    both = pairs(outputs, (simulated, nothing), (emulated, nothing))
    hits = [hit([0.5, 0.5]) for _ in simulated]
    data = explorer.data(parameters, [0, 1], {"target": np.ones((1, 4, 4))}, both, hits)
    return Page("hits", "", FOUND, explorer=data)


@browser
def test_a_field_is_an_image_each_way_with_its_first_row_at_the_bottom(tmp_path):
    rows, columns = 40, 24
    y, x = np.linspace(0, 3, rows), np.linspace(0, 1, columns)
    field = Output("growth", (y, x), unit="nM", grid_name=("depth", "width"), grid_unit="mm")
    emulated = np.add.outer(y, x**2)
    simulated = 0.9 * emulated
    page = of_outputs([field], simulated.reshape(1, -1), emulated.reshape(1, -1))
    document = browse(tmp_path, page)
    found = {about["class"]: (pixels, about) for pixels, about in images(document) if "class" in about}
    low, high = 0.0, 4.0
    every = np.linspace(0, rows - 1, 32).round().astype(int)
    for way, values in (("simulated", simulated), ("emulated", emulated)):
        pixels, about = found[way]
        level = (values[every] - low) / (high - low)
        colours = [np.interp(level, [0, 0.5, 1], steps) for steps in ((0, 124, 254), (34, 123, 232), (78, 120, 56))]
        np.testing.assert_allclose(pixels, np.stack(colours, axis=-1), atol=2)
        assert float(about["height"]) / float(about["width"]) == pytest.approx(32 / columns, rel=0.01)
    assert float(found["simulated"][1]["x"]) < float(found["emulated"][1]["x"])
    assert "growth [nM]: dark 0, bright 4<" in document
    assert "along: width [mm]; up: depth [mm]<" in document
    assert '<p class="key" hidden="">' in document


@browser
def test_a_field_whose_simulation_failed_is_shown_as_emulated_alone(tmp_path):
    field = Output("growth", (np.arange(3.0), np.arange(4.0)))
    emulated = np.arange(12.0)[None]
    document = browse(tmp_path, of_outputs([field], np.full((1, 12), np.nan), emulated))
    assert [about["class"] for _, about in images(document) if "class" in about] == ["emulated"]


@browser
def test_where_all_outputs_are_numbers_there_is_no_empty_chart(tmp_path):
    numbers = [Output("potential", unit="mV"), Output("rate")]
    page = of_outputs(numbers, np.array([[-28.951, np.nan]]), np.array([[-29.02, 3.0]]))
    measure = "document.title = document.querySelector('#explorer svg.profile').getBoundingClientRect().height;"
    document = browse(tmp_path, page, then=measure)
    assert "<title>0</title>" in document
    assert "simulated −28.95, emulated −29.02" in document
    assert "simulated failed, emulated 3" in document


@browser
def test_doses_are_drawn_in_decades(tmp_path):
    doses = Output("response", np.geomspace(0.01, 100, 5), grid_name="drug", grid_unit="nM", scale="linear")
    values = np.arange(5.0)[None, None]
    page = of_outputs([doses], values, values)
    document = browse(tmp_path, page)
    path = re.search(r'<path d="([^"]*)" class="simulated"', document)
    across = [float(point.split()[0]) for point in re.split("[ML]", path[1])[1:]]
    np.testing.assert_allclose(np.diff(across), np.ptp(across) / 4, atol=0.11)
    assert "drug [nM], log scale" in document


@browser
def test_features_of_a_hit_are_told_both_ways_and_where_it_has_none(tmp_path):
    profiles = np.random.default_rng(3).random((1, 2, 301))
    features = {"period(<p53>) [h]": np.array([[5.5123, np.nan]])}
    data = explorer.data(
        PARAMETERS, [0, 2], {"t": np.ones((1, 4, 4))}, shown(profiles, profiles), [hit([1.0, 3.0, 2.0])], features
    )
    document = browse(tmp_path, Page("hits", "", FOUND, explorer=data))
    assert 'period(&lt;p53&gt;) [h]</th><td class="number">simulated 5.512, emulated not defined</td>' in document


def test_profiles_are_kept_to_a_part_in_five_hundred(page):
    values = json.loads(page[0].explorer)
    assert values["varied"] == [0, 2]
    assert values["first"] == [0, 2]
    of_outputs = [np.frombuffer(base64.b64decode(o["levels"]), np.uint8).reshape(30, 2, 101) for o in values["outputs"]]
    levels = np.stack(of_outputs, axis=1)
    simulated = np.random.default_rng(2).random((2, 30, 2, 301))[0, ..., ::3]
    ok = np.arange(30) != 7
    np.testing.assert_allclose(levels[ok, :, 0] / 254, simulated[ok], atol=1 / 500)
    assert (levels[7, :, 0] == 255).all()


def test_a_page_holds_a_thousand_hits_at_most_from_the_first_to_the_last():
    assert explorer.choose(0, OUTPUTS).tolist() == []
    assert explorer.choose(3, OUTPUTS).tolist() == [0, 1, 2]
    many = explorer.choose(54_321, OUTPUTS)
    assert (len(many), many[0], many[-1]) == (1000, 0, 54_320)


def test_a_page_without_hits_has_no_script():
    assert "<script" not in render(Page("none", "", FOUND))
