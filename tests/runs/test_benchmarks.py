import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.runs.benchmarks import measured

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmarks") / "job.tsv"


def test_seconds_and_memory_are_those_of_snakemakes_file(path):
    path.write_text(HEAD + "16.61\t0:00:16\t829.41\t2092.02\t374.46\t488.12\t0.42\t0.24\t86.65\t15.20\n")
    assert measured(path) == (16.61, 829.41)


def test_a_job_too_short_to_be_looked_at_has_no_memory(path):
    path.write_text(HEAD + "0.5\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    assert measured(path) == (0.5, None)


def test_nothing_is_told_without_a_file(path):
    assert measured(path.with_name("none.tsv")) is None
    assert measured(path.parent) is None


@given(st.one_of(st.binary(), st.text(alphabet='s\t\n\r0123456789.eE+-inaNmax_rss"', max_size=200).map(str.encode)))
def test_a_file_that_says_something_else_gives_nothing_or_numbers_that_can_be_believed(path, content):
    path.write_bytes(content)
    found = measured(path)
    if found is not None:
        assert 0 <= found.seconds <= 1e9
        assert found.megabytes is None or 0 <= found.megabytes <= 1e9
