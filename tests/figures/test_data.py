import csv
import io

import numpy as np
from matplotlib.figure import Figure

from mechscreen.figures import data, pairs, scales, style
from mechscreen.models import Output
from mechscreen.spaces import Parameter


def rows(figure):
    return list(csv.DictReader(io.StringIO(data.to_csv(figure))))


def column(found, name):
    return [float(row[name]) for row in found]


def test_lines_points_and_limits_are_told_with_their_labels():
    figure = Figure()
    ax = figure.subplots()
    ax.plot([1, 2, 3], [10, 20, 30], label="first")
    ax.scatter([5], [6])
    ax.axhline(0.5, label="limit")
    ax.set(xlabel="time [h]", ylabel="algae\n[mg/l]", title="a title")
    found = rows(figure)
    assert [row["series"] for row in found] == ["first", "first", "first", "points 2", "limit"]
    assert column(found[:3], "x") == [1, 2, 3]
    assert column(found[:3], "y") == [10, 20, 30]
    assert (found[4]["x"], found[4]["y"]) == ("", "0.5"), "a limit goes along all of the panel"
    assert {(row["panel"], row["along"], row["up"], row["title"]) for row in found} == {
        ("1", "time [h]", "algae [mg/l]", "a title")
    }
    assert data.describe(figure) == "1 panel with lines, points: algae [mg/l] over time [h]."


def test_bands_and_error_bars_have_both_ends():
    figure = Figure()
    ax = figure.subplots()
    ax.fill_between([0, 1], [1, 2], [3, 5], label="band")
    ax.errorbar([7], [4], [0.5])
    band = [row for row in rows(figure) if row["series"] == "band"]
    assert [(row["x"], row["y from"], row["y to"]) for row in band] == [("0", "1", "3"), ("1", "2", "5")]
    (bar,) = (row for row in rows(figure) if row["series"].startswith("segments"))
    assert (bar["x"], bar["y from"], bar["y to"]) == ("7", "3.5", "4.5")


def test_an_image_is_told_cell_by_cell_in_the_units_of_its_axes_and_its_key_is_no_panel():
    figure = Figure()
    ax = figure.subplots()
    values = np.array([[1.0, 2.0], [3.0, np.nan]])
    image = ax.imshow(values.repeat(3, axis=0), origin="lower", extent=(0, 4, 0, 10))
    figure.colorbar(image, ax=ax, label="density")
    found = rows(figure)
    assert [(row["x"], row["y"], row["value"]) for row in found] == [
        ("1", "2.5", "1"),
        ("3", "2.5", "2"),
        ("1", "7.5", "3"),
    ]
    assert {row["what the value is"] for row in found} == {"density"}
    assert {row["panel"] for row in found} == {"1"}


def test_fields_side_by_side_are_told_at_their_own_places():
    rows_of, columns_of = np.linspace(2, 4, 3), np.linspace(10, 30, 5)
    field = Output("growth", (rows_of, columns_of), unit="nM", grid_name=("y", "x"))
    simulated = np.arange(15.0).reshape(1, 15)
    (pair,) = pairs.pairs([field], (simulated, np.zeros((1, 1))), (2 * simulated, np.zeros((1, 1))))
    figure = Figure()
    pairs.draw(figure.subplots(), pair, 0)
    found = rows(figure)
    assert {row["what the value is"] for row in found} == {"growth [nM]"}
    simulation, emulation = (
        [(row["x"], row["y"]) for row in found if row["series"] == way] for way in ("simulated", "emulated")
    )
    assert simulation == emulation
    assert len(simulation) == 15
    across, up = np.array(simulation, float).T
    assert (across.min(), across.max()) == (12, 28), "middles of the cells between 10 and 30"
    np.testing.assert_allclose([up.min(), up.max()], [2 + 1 / 3, 4 - 1 / 3], rtol=1e-5)


def test_axes_over_decades_are_told_in_values_and_categories_by_their_names():
    decades, kinds = Parameter("k", 0.01, 100.0, scale="log"), Parameter("kind", 0, 1, categories=("wild", "mutant"))
    figure = Figure()
    ax = figure.subplots()
    ax.stairs([5.0, 7.0], scales.edges(decades, 2))
    ax.plot([-2, 2], list(kinds.marks))
    scales.frame(ax, decades, kinds)
    found = rows(figure)
    lines = [row for row in found if row["series"].startswith("line")]
    np.testing.assert_allclose(column(lines, "x"), [0.01, 100])
    assert [row["y"] for row in lines] == ["wild", "mutant"]
    steps = [row for row in found if row["series"].startswith("steps")]
    np.testing.assert_allclose(column(steps, "x"), [0.1, 10], rtol=1e-5)


def test_panels_take_the_label_of_their_row_and_column_and_what_is_shown_twice_is_told_once():
    figure = Figure()
    axes = figure.subplots(2, 2)
    for ax in axes.flat:
        ax.plot([0, 1], [2, 3], label="a")
        ax.fill_between([0, 1], [2, 3], label=style.SHOWN_ELSEWHERE)
    axes[1, 0].set(xlabel="time", ylabel="below")
    axes[0, 0].set_ylabel("above")
    found = rows(figure)
    assert {row["series"] for row in found} == {"a"}
    about = {row["panel"]: (row["along"], row["up"]) for row in found}
    assert about == {"1": ("time", "above"), "2": ("", "above"), "3": ("time", "below"), "4": ("", "below")}


def test_a_text_has_no_data_and_needs_no_words():
    assert rows(style.message("nothing to show")) == []
    assert data.describe(style.message("nothing to show")) == ""


def test_an_svg_holds_its_texts_and_is_reproducible():
    def picture():
        figure = Figure()
        ax = figure.subplots()
        ax.scatter(np.arange(5000), np.arange(5000))
        ax.set_xlabel("growth rate")
        return style.to_svg(figure, {"Title": "many", "Source": "left out"})

    svg = picture()
    assert svg == picture()
    assert b"growth rate" in svg
    assert b"<image" in svg, "many points are a picture"
    assert len(svg) < 300_000
