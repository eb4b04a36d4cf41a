import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from mechscreen.figures import style
from mechscreen.reports.page import MOST_BYTES, KeyNumber, Page, Picture, Section, Table, placed, render

PNG = style.to_png(style.message("nothing"), {})
FILES = {"PNG": "figures/hits.png", "its data (CSV)": "figures/hits.csv"}


def page(text="text"):
    first = Section(
        "found",
        text,
        text=[text],
        points=[text],
        numbers=[KeyNumber(text, text, text)],
        pictures=[Picture("hits", text, text, PNG, text, FILES)],
        tables=[Table(text, [text, "n"], [[text, 3], [None, 0.25]], text)],
    )
    second = Section("made", "How", short=text, tables=[Table("Origin", [text], [[text]])], code=(text, text))
    return Page(title=text, headline=text, sections=[first, second])


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.texts, self.links, self.all = [], [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.all.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@example("<b>{{ 7 * 7 }}</b>{% raw %}{# not a template #}")
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1))
def test_any_text_stays_text(text):
    plain, strange = Elements(render(page())), Elements(render(page(text)))
    assert strange.tags == plain.tags
    assert not strange.open
    assert strange.texts.count(text) >= 10


def test_the_page_holds_its_pictures_and_needs_no_network():
    parsed = Elements(render(page()))
    (source,) = (link for link in parsed.links if link.startswith("data:"))
    with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/webp;base64,")))) as shown:
        pixels = np.asarray(shown.convert("RGB"))
    with Image.open(io.BytesIO(PNG)) as original:
        np.testing.assert_array_equal(pixels, np.asarray(original.convert("RGB")))
    assert "script" not in parsed.tags
    assert re.search(r"https?://", render(page())) is None


def test_numbers_are_set_apart_from_words():
    html = render(page())
    assert '<td class="number">3</td>' in html
    assert '<td class="number">0.25</td>' in html
    assert "<td></td>" in html


def test_a_heading_stands_like_the_first_cell_below_it():
    html = render(page())
    assert '<th scope="col">text</th>' in html
    assert '<th scope="col" class="number">n</th>' in html


def test_a_table_without_rows_has_its_headings_alone():
    parsed = Elements(render(Page("", "", [Section("a", "A", tables=[Table("empty", ["first", "second"], [])])])))
    assert {"empty", "first", "second"} <= set(parsed.texts)
    assert "td" not in parsed.tags


def test_every_link_of_the_contents_leads_somewhere_and_headings_are_in_order():
    parsed = Elements(render(page()))
    names = [attributes["id"] for _, attributes in parsed.all if "id" in attributes]
    assert len(names) == len(set(names))
    inside = [link[1:] for link in parsed.links if link.startswith("#")]
    assert inside == ["content", "found", "made", "hits", "table-text", "table-origin"]
    assert set(inside) <= set(names)
    levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1


def test_a_reader_with_keys_alone_skips_the_contents_first_and_reaches_what_is_wider_than_the_page():
    parsed = Elements(render(page()))
    reached = [(tag, about) for tag, about in parsed.all if (tag == "a" and "href" in about) or "tabindex" in about]
    assert reached[0] == ("a", {"class": "skip", "href": "#content"})
    frames = [about for _, about in parsed.all if about.get("class") == "scroll"]
    assert len(frames) == 3
    assert all(about["tabindex"] == "0" and about["aria-label"] for about in frames)


def test_a_picture_has_its_words_and_its_files():
    parsed = Elements(render(page()))
    (image,) = (about for tag, about in parsed.all if tag == "img")
    assert image["alt"] == "text"
    assert [link for link in parsed.links if link.startswith("figures/")] == list(FILES.values())
    assert "As a file" not in render(Page("", "", [Section("a", "A", pictures=[Picture("p", "t", "c", PNG)])]))


def test_a_page_of_many_large_pictures_can_be_mailed():
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (900, 800), np.uint8)).save(stream, "png")
    pictures = [Picture(f"p{k}", "title", "caption", stream.getvalue()) for k in range(8)]
    assert sum(len(picture.png) for picture in pictures) > MOST_BYTES
    html = render(Page("", "", [Section("found", "Found", pictures=pictures)]))
    assert 0.3 * MOST_BYTES < len(html.encode()) <= MOST_BYTES
    assert html.count("data:image/webp") == 8


def test_tables_are_placed_and_empty_ones_left_out():
    full, empty = Table("full", ["a"], [[1]]), Table("empty", ["a"], [])
    assert [(table.title, table.section) for table in placed({"sure": [empty, full], "made": [empty]})] == [
        ("full", "sure")
    ]
