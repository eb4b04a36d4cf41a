import base64
import re
from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from mechscreen.figures import style
from mechscreen.reports.page import KeyNumber, Page, Picture, Table, render

PNG = style.to_png(style.message("nothing"), {})


def page(text="text"):
    return Page(
        title=text,
        headline=text,
        numbers=[KeyNumber(text, text, text)],
        pictures=[Picture("hits", text, text, PNG)],
        tables=[Table(text, [text, "n"], [[text, 3], [None, 0.25]], text)],
        origin=[Table(text, [text], [[text]])],
        configuration=text,
    )


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.texts, self.links = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
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
    (source,) = parsed.links
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == PNG
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
    parsed = Elements(render(Page("", "", [], [], [Table("empty", ["first", "second"], [])])))
    assert {"empty", "first", "second"} <= set(parsed.texts)
    assert "td" not in parsed.tags
