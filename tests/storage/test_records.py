import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import storage
from mechscreen.errors import FileError
from mechscreen.storage import Record, StageRecord

ORIGIN = {
    "campaign": "a1b2",
    "identity": {"seed": 7},
    "campaign_name": "demo",
    "model": "pattern",
    "model_version": "1",
    "seed": 7,
    "format_version": storage.FORMAT_VERSION,
    "software_version": "1.2.3",
}


class Share(Record):
    count: int
    share: float | None
    interval: tuple[float, float] | None = None


class Summary(StageRecord):
    kind: Literal["summary"] = "summary"
    names: list[str]
    shares: dict[str, Share]


class Other:
    fingerprint = "ffff"

    def difference(self, recorded):
        return f"seed = {recorded['seed']}"


numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.builds(
    Share, count=st.integers(), share=st.none() | numbers, interval=st.none() | st.tuples(numbers, numbers)
)
summaries = st.builds(
    Summary, **{name: st.just(value) for name, value in ORIGIN.items()},
    names=st.lists(st.text(), max_size=3), shares=st.dictionaries(st.text(), shares, max_size=3),
)  # fmt: skip


@given(summary=summaries)
def test_what_is_written_comes_back(summary, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "summary.json"
    summary.write(path)
    assert Summary.read(path) == summary
    assert list(json.loads(path.read_text()))[:3] == ["kind", "campaign", "identity"]


def test_what_a_later_version_adds_is_passed_over(tmp_path):
    values = {"kind": "summary", **ORIGIN, "names": [], "shares": {"a": {"count": 1, "share": 1, "later": 2}}, "new": 3}
    storage.write_json(tmp_path / "summary.json", values)
    assert Summary.read(tmp_path / "summary.json").shares["a"] == Share(count=1, share=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": None}, r"is no whole record of 'summary' \(names: Input should be a valid array\)"),
        ({"shares": {"a": {"count": "1", "share": 0}}}, r"\(shares\.a\.count: Input should be a valid integer\)"),
        ({"kind": "manifest"}, "is no record of 'summary'"),
        ({"format_version": 99, "software_version": "9"}, "has format 99, written by mechscreen 9"),
        ({"campaign": None}, "campaign: Input should be a valid string"),
    ],
)
def test_what_is_not_as_declared_is_named(tmp_path, change, message):
    path = tmp_path / "summary.json"
    storage.write_json(path, {"kind": "summary", **ORIGIN, "names": [], "shares": {}, **change})
    with pytest.raises(FileError, match=message):
        Summary.read(path)


@pytest.mark.parametrize("text", ["[]", "3", "{", ""])
def test_what_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(FileError, match=r"summary\.json: (is no record of 'summary'|not valid JSON)"):
        Summary.read(tmp_path / "summary.json")


def test_a_record_of_another_origin_is_refused_and_the_difference_told(tmp_path):
    Summary(**ORIGIN, names=[], shares={}).write(tmp_path / "summary.json")
    with pytest.raises(FileError, match="made with seed = 7; remove it"):
        Summary.read(tmp_path / "summary.json", Other())


def test_an_older_record_says_how_to_convert_it(tmp_path):
    values = {"kind": "summary", **ORIGIN, "names": [], "shares": {}}
    del values["format_version"]
    storage.write_json(tmp_path / "summary.json", values)
    with pytest.raises(storage.FormatError, match="has format 1"):
        Summary.read(tmp_path / "summary.json")
