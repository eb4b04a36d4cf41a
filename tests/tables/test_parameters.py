import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.models import Parameter, ParameterSpace
from mechscreen.tables import read_parameters

SPACE = ParameterSpace(
    [
        Parameter("alpha_T", 80.0, 8000.0, zero=0.0, one=8000.0),
        Parameter("KC", 0.001, 0.005, zero=0.0, one=0.005),
        Parameter("domainR", 2.0, 2.0, zero=0.0, one=3.0),
    ]
)
HEADER = "alpha_T,KC,domainR\n"


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "sets.csv"

    def read(content, **options):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_parameters(path, SPACE, **options).tolist()

    return read


def test_columns_may_stand_in_any_order(read):
    assert read("KC,domainR,alpha_T\n0.002,1,100\n0.003,1.5,2e2\n") == [[100, 0.002, 1], [200, 0.003, 1.5]]


def test_a_fixed_parameter_may_be_left_out_and_is_exact(read):
    assert read("KC,alpha_T\n0.002,100\n") == [[100, 0.002, 2]]
    assert read("KC,alpha_T\n1,0.5\n", normalised=True) == [[4000, 0.005, 2]]


def test_normalised_values_become_physical(read):
    assert read(HEADER + "0.5,0.5,0.5\n", normalised=True) == [[4000, 0.0025, 1.5]]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_of_spreadsheets_are_read(read, mark, end):
    text = end.join(["", '"alpha_T", KC ,domainR', "", "100, 0.002 ,1", '"200",.003,+1.5E0', " , , ", ""])
    assert read(mark + text.encode()) == [[100, 0.002, 1], [200, 0.003, 1.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "sets.csv: is empty; its first row names the parameters: alpha_T, KC, domainR"),
        ("\n\n", "sets.csv: is empty"),
        (HEADER, "sets.csv: has a header but no parameter sets"),
        ("alpha_T\n1\n", "sets.csv, line 1: no column for KC; the header names every parameter that varies"),
        ("alpha_t,KC\n1,2\n", "sets.csv, line 1: no parameter 'alpha_t'; did you mean 'alpha_T'?"),
        ('alpha_T,"K\nC"\n1,2\n', "sets.csv, line 1: no parameter 'K C'"),
        ("alpha_T,KC,KC\n1,2,3\n", "sets.csv, line 1: column 'KC' stands there 2 times"),
        ("alpha_T,KC,\n1,2,3\n", "sets.csv, line 1: a column has no name"),
        ("100,0.002,1\n", "sets.csv, line 1: has no header; its first row names the parameters: alpha_T, KC, domainR"),
        (HEADER + "1,2,1\n1,2\n", "sets.csv, line 3: 2 values, but the header names 3 columns"),
        (HEADER + "1,2,1,\n1,2,1\n", "sets.csv, line 2: 4 values, but the header names 3 columns"),
        (HEADER + "1,2,1\n\n1,x,1\n", "sets.csv, line 4, column 'KC': 'x' is not a finite number"),
        (HEADER + "1,,1\n", "sets.csv, line 2, column 'KC': is empty"),
        (HEADER + "nan,1,1\n", "sets.csv, line 2, column 'alpha_T': 'nan' is not a finite number"),
        (HEADER + "1,1e999,1\n", "sets.csv, line 2, column 'KC': '1e999' is not a finite number"),
        (HEADER + "1_000,1,1\n", "sets.csv, line 2, column 'alpha_T': '1_000' is not a finite number"),
        (HEADER + "<5,1,1\n", "sets.csv, line 2, column 'alpha_T': '<5' is not a finite number (a limit of detection)"),
        (b"alpha_T,KC\n\xff\xfe,2\n", "sets.csv, line 2, column 'alpha_T': 'ÿþ' is not a finite number"),
        (b"alpha_T,KC\n\0,2\n", "sets.csv: is no text (it has the character '\\x00')"),
        (HEADER + '1,"2,1\n', "sets.csv, line 2: not valid CSV"),
    ],
)
def test_each_mistake_has_its_own_message(read, content, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(
        InputError, match=r"no\.csv: cannot be read \(No such file or directory\); give a table such as CSV"
    ):
        read_parameters(tmp_path / "no.csv", SPACE)
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_parameters(tmp_path, SPACE)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("KC;alpha_T\n0,002;100\n0,003;200,5\n", "semicolon-separated, decimal commas"),
        ("# mine\nKC\talpha_T\n0.002\t100\n3e-3\t200.5\n", "tab-separated, 1 comment line"),
        ("KC alpha_T\n0.002 100\n0.003 200.5\n", "separated by blanks"),
        ("KC,alpha_T\n0.002,100\n0.003,200.5\n".encode("utf-16"), "comma-separated, UTF-16"),
        (
            ",KC,alpha_T\n0,0.002,100\n1,0.003,200.5\n",
            "comma-separated, a first column without a name, which counts rows, left out",
        ),
    ],
)
def test_dialects_are_read_and_told(read, caplog, content, told):
    with caplog.at_level("INFO"):
        assert read(content) == [[100, 0.002, 2], [200.5, 0.003, 2]]
    assert [message.split("sets.csv: ")[1] for message in caplog.messages] == [f"read as {told}"]


def test_plain_csv_is_not_talked_about(read, caplog):
    with caplog.at_level("INFO"):
        read(HEADER + "100,0.002,1\n")
    assert not caplog.messages


@pytest.mark.parametrize(
    "table", ["k (µM),n\n2.5,3\n", "k [μM],n\n2.5,3\n", "k,n\nµM,-\n2.5,3\n", "k,n\n(µM),\n2.5,3\n"]
)
def test_units_may_stand_there_if_they_are_the_models(tmp_path, table):
    path = tmp_path / "sets.csv"
    path.write_text(table)
    space = ParameterSpace([Parameter("k", 1.0, 10.0, unit="µM"), Parameter("n", 1.0, 4.0)])
    assert read_parameters(path, space).tolist() == [[2.5, 3.0]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("k (nM),n\n2.5,3\n", "line 1: column 'k (nM)' is in nM, and 'k' is in µM"),
        ("k,n\nnM,-\n2.5,3\n", "line 1: column 'k' is in nM, and 'k' is in µM"),
        ("k,n (h)\n2.5,3\n", "line 1: column 'n (h)' is in h, and no unit of 'n' is known"),
        ("k,k [µM],n\n2.5,2,3\n", "line 1: column 'k' stands there 2 times"),
    ],
)
def test_other_units_are_refused_since_the_numbers_are_others(tmp_path, table, message):
    path = tmp_path / "sets.csv"
    path.write_text(table)
    space = ParameterSpace([Parameter("k", 1.0, 10.0, unit="µM"), Parameter("n", 1.0, 4.0)])
    with pytest.raises(InputError, match=re.escape(message)):
        read_parameters(path, space)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(
    rows=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=5),
    order=st.permutations(range(3)),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(deadline=None, max_examples=100)
def test_any_table_that_a_csv_writer_makes_is_read_exactly(tmp_path_factory, rows, order, quoting, end):
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow([SPACE.names[j] for j in order])
    writer.writerows([[repr(row[j]) for j in order] for row in rows])
    path = tmp_path_factory.mktemp("any") / "sets.csv"
    path.write_bytes(text.getvalue().encode())
    np.testing.assert_array_equal(read_parameters(path, SPACE), rows)


@given(content=st.binary(max_size=60) | st.text('alpha_TKCdomainR,;\n\r" 0.1e-xn\0', max_size=80).map(str.encode))
@settings(deadline=None, max_examples=300)
def test_any_other_content_gives_one_message_or_finite_numbers(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "sets.csv"
    path.write_bytes(content)
    try:
        values = read_parameters(path, SPACE)
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 - either outcome is right
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert values.shape[1] == 3
        assert np.isfinite(values).all()


@given(edits=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(',;\n\r"x-.0e\0é'))), min_size=1, max_size=4))
@settings(deadline=None, max_examples=300)
def test_a_mutated_table_gives_one_message_or_finite_numbers(tmp_path_factory, edits):
    content = list(HEADER + "100,0.002,1\n200,0.003,1.5\n")
    for place, character in edits:
        content[place % len(content)] = character
    path = tmp_path_factory.mktemp("any") / "sets.csv"
    path.write_text("".join(content), encoding="utf-8", newline="")
    try:
        values = read_parameters(path, SPACE)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(values).all()
