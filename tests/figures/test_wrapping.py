import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.figure import Figure

from mechscreen.figures.wrapping import wrap


def drawn_width(text):
    """Inches that Matplotlib takes for a text, by drawing it."""
    figure = Figure(dpi=200)
    drawn = figure.text(0, 0, text, fontsize=rcParams["axes.labelsize"])
    return drawn.get_window_extent().width / figure.dpi


@given(st.text("ab _-/[]é", min_size=1, max_size=60), st.floats(0.5, 3))
def test_lines_fit_and_nothing_is_lost(text, inches):
    wrapped = wrap(text, inches)
    assert "".join(wrapped.split()) == "".join(text.split())
    assert all(drawn_width(line) <= inches * 1.05 + 0.02 for line in wrapped.split("\n") if line)


@pytest.mark.parametrize(
    ("text", "wrapped"),
    [
        ("short", "short"),
        ("a line\nand another", "a line\nand another"),
        ("production rate of mRNA", "production\nrate of mRNA"),
        ("a_rather_long_name", "a_rather_\nlong_name"),
        ("Ceramide.wildtype", "Ceramide.\nwildtype"),
        ("$k_{on}$ [molecules per hour]", "$k_{on}$\n[molecules\nper hour]"),
        ("$\\alpha_{a\\ long\\ formula\\ of\\ one\\ piece}$ x", "$\\alpha_{a\\ long\\ formula\\ of\\ one\\ piece}$\nx"),
    ],
)
def test_a_text_is_broken_where_people_would(text, wrapped):
    assert wrap(text, 0.95) == wrapped


def test_what_is_over_the_lines_that_there_may_be_ends_with_an_ellipsis():
    wrapped = wrap("one two three four five six seven", 0.8, most=2)
    assert wrapped.count("\n") == 1
    assert wrapped.endswith("…")
    assert drawn_width(wrapped) <= 0.85
    assert wrap("one two", 0.8, most=2) == "one two"
