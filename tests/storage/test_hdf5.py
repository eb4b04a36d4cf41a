import hashlib
import itertools
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mechscreen import storage
from mechscreen.errors import FileError
from mechscreen.storage import files

ORIGIN = {
    "kind": "simulations",
    "campaign": "a1b2",
    "identity": "{}",
    "model": "pattern",
    "model_version": "1",
    "seed": 7,
}
ARRAYS = {
    "index": np.arange(5),
    "profiles": np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 2, 3),
    "flags": np.array([True, False, True]),
    "scalar": np.array(3.5),
    "nothing": np.zeros((0, 4)),
    "reasons": ["", "außer Bereich", "no solution", "", "Ω" * 40],
    "no_text": [],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "shard-00042.h5"


class Origin:
    """An identity that cannot tell what differs."""

    fingerprint = "a1b2"

    def difference(self, recorded):
        return ""


def read(path, identity=Origin):
    return storage.read(path, "simulations", identity and identity())


def signed(content):
    """Return HDF5 bytes with a user block as mechscreen writes it, for files that it would never write."""
    digest = hashlib.sha256(content[512:]).hexdigest().encode()
    return (b"mechscreen\nsha256 " + digest + b"\n").ljust(512, b"\0") + content[512:]


def craft(path, fill, **attributes):
    """Write a file with a right checksum and whatever `fill` puts into it."""
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs.update(
            {"format_version": storage.FORMAT_VERSION, "kind": "simulations", "campaign": "a1b2", **attributes}
        )
        fill(file)
    path.write_bytes(signed(path.read_bytes()))


def test_arrays_and_attributes_come_back(path):
    storage.write(path, ARRAYS, {**ORIGIN, "share": 0.1, "note": "größer", "empty": ""})
    file = read(path)
    assert file.arrays.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        if isinstance(values, list):
            assert file[name].tolist() == values
        else:
            np.testing.assert_array_equal(file[name], values)
            assert file[name].dtype == values.dtype
    expected = {**ORIGIN, "share": 0.1, "note": "größer", "empty": "", "format_version": storage.FORMAT_VERSION}
    assert {**file.attributes, **expected} == file.attributes
    assert {name: type(file.attributes[name]) for name in expected} == {k: type(v) for k, v in expected.items()}


def test_any_hdf5_reader_can_read_a_file(path):
    storage.write(path, ARRAYS, ORIGIN)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["profiles"], ARRAYS["profiles"])
        assert file["reasons"].asstr()[:].tolist() == ARRAYS["reasons"]
        assert file["flags"][:].tolist() == [True, False, True]
        assert file.attrs["campaign"].decode() == "a1b2"


numbers = hnp.arrays(
    st.one_of(hnp.integer_dtypes(endianness="<"), hnp.floating_dtypes(endianness="<", sizes=(32, 64)), st.just(bool)),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
texts = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=5)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)


@given(arrays=st.dictionaries(names, numbers | texts, max_size=4), note=st.text(st.characters(exclude_characters="\0")))
@settings(deadline=None, max_examples=50)
def test_any_content_comes_back_and_gives_the_same_bytes_again(tmp_path_factory, arrays, note):
    path = tmp_path_factory.mktemp("any") / "a.h5"
    storage.write(path, arrays, {**ORIGIN, "note": note})
    content = path.read_bytes()
    storage.write(path, arrays, {**ORIGIN, "note": note})
    assert path.read_bytes() == content
    file = read(path)
    assert file.attributes["note"] == note.encode("utf-8", "backslashreplace").decode()
    for name, values in arrays.items():
        if isinstance(values, list):
            assert file[name].tolist() == [text.encode("utf-8", "backslashreplace").decode() for text in values]
        else:
            np.testing.assert_array_equal(file[name], values)


def test_same_content_gives_the_same_bytes_at_another_time_and_in_pieces(path, monkeypatch):
    storage.write(path, {"x": np.arange(100.0).reshape(50, 2), "n": np.arange(50)}, ORIGIN)
    content = path.read_bytes()
    monkeypatch.setattr(time, "time", lambda: 1e9)
    layout = {"x": ((50, 2), np.float64), "n": ((50,), np.int64)}
    for pieces in ([0, 50], [0, 1, 7, 7, 49, 50]):
        time.sleep(1.05)  # HDF5 stores whole seconds, where it stores any
        with storage.Writer(path, layout, ORIGIN) as writer:
            for start, stop in itertools.pairwise(pieces):
                writer.append({"x": np.arange(2.0 * start, 2.0 * stop).reshape(-1, 2)})
                writer.append({"n": np.arange(start, stop)})
        assert path.read_bytes() == content


def test_arrays_can_be_read_in_parts(path):
    storage.write(path, ARRAYS, ORIGIN)
    with storage.open_file(path, "simulations", Origin()) as file:
        np.testing.assert_array_equal(file["profiles"][1:3], ARRAYS["profiles"][1:3])
        assert file["reasons"][1] == "außer Bereich"


def test_none_of_1000_flipped_bits_is_accepted(path):
    storage.write(path, ARRAYS, ORIGIN)
    content = path.read_bytes()
    chosen = random.Random(1).sample(range(8 * len(content)), 1000)
    assert sum(bit < 8 * 512 for bit in chosen) > 20
    for bit in chosen:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(FileError, match=r"shard-00042\.h5: is (damaged|no mechscreen file)"):
            read(path)


def test_no_truncated_or_lengthened_file_is_accepted(path):
    storage.write(path, ARRAYS, ORIGIN)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), 511, 512, 513, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match=r"is (damaged|no mechscreen file|empty)"):
            read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(FileError, match="is damaged"):
        read(path)


def other(path, **attributes):
    storage.write(path, ARRAYS, {**ORIGIN, **attributes})


def newer(path):
    craft(path, lambda file: None, format_version=3, software_version="9.0")


def foreign(path):
    with h5py.File(path, "w") as file:
        file["x"] = [1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist; run the command that makes it"),
        (lambda path: path.write_bytes(b""), "is empty; remove it and run the command"),
        (lambda path: path.write_text("a,b\n1,2\n" * 200), "is no mechscreen file; give another one, or remove it"),
        (lambda path: path.mkdir(), "is a folder where a file should be; move it away and run again"),
        (foreign, "is an HDF5 file, but not one of mechscreen's; give another one"),
        (lambda path: path.write_bytes(signed(b"\0" * 2000)), "cannot be opened as HDF5"),
        (newer, "has format 3, written by mechscreen 9.0; this is mechscreen .*, which reads up to format 2; update"),
        (lambda path: other(path, kind="screen hits"), "holds 'screen hits' where 'simulations' is expected"),
        (lambda path: other(path, campaign="ffff"), r"written by campaign ffff \(this one is a1b2\); remove it or use"),
        (lambda path: craft(path, lambda file: file.attrs.pop("campaign")), "lacks the attributes"),
        (lambda path: craft(path, lambda file: None, x=np.arange(3)), "attribute 'x' is neither text nor a number"),
    ],
    ids=["missing", "empty", "text", "folder", "foreign", "signed", "newer", "kind", "campaign", "bare", "attribute"],
)
def test_each_wrong_file_has_its_own_message(path, make, message):
    path.parent.mkdir()
    make(path)
    with pytest.raises(FileError, match=rf"^{path}: {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_any_campaign_is_accepted_if_none_is_asked_for(path):
    storage.write(path, ARRAYS, ORIGIN)
    assert read(path, identity=None).attributes["campaign"] == "a1b2"
    assert storage.verify(path, "simulations")["seed"] == 7
    with pytest.raises(FileError, match=r"shard-00042\.h5: holds no array 'parameters'"):
        _ = read(path)["parameters"]


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def soft_link(file):
    file["y"] = [1.0]
    file["x"] = h5py.SoftLink("/y")


def external_link(file):
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def external_data(file):
    file.create_dataset("x", (100,), "u1", external=[("/etc/passwd", 0, 100)])


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


def group(file):
    file.create_group("x")


def huge(file):
    file.create_dataset("x", (2**40,), "f8", chunks=(1024,))


def pickled(file):
    file.create_dataset("x", data=[np.void(pickle.dumps(Evil()))])


def variable_text(file):
    file.create_dataset("x", data=["a", "b"])


@pytest.mark.parametrize(
    "fill", [soft_link, external_link, external_data, virtual, group, huge, pickled, variable_text]
)
def test_nothing_but_plain_arrays_is_read(path, fill, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    craft(path, fill)
    with pytest.raises(FileError, match=r"'x' is not a plain array"):
        read(path)
    assert not (tmp_path / "evil").exists()


def test_origin_has_to_be_given(path):
    with pytest.raises(ValueError, match="attributes lack campaign, identity"):
        storage.write(path, ARRAYS, {"kind": "simulations"})
    with pytest.raises(ValueError, match="cannot store"):
        storage.write(path, {"x": np.array([object()])}, ORIGIN)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([np.zeros((2, 3))], "2 of 4 rows were written"),
        ([np.zeros((3, 3)), np.zeros((2, 3))], "does not fit after 3 rows"),
        ([np.zeros((4, 2))], "does not fit after 0 rows"),
    ],
)
def test_an_array_filled_wrongly_leaves_no_file(path, rows, message):
    def fill():
        with storage.Writer(path, {"x": ((4, 3), np.float64)}, ORIGIN) as writer:
            for piece in rows:
                writer.append({"x": piece})

    with pytest.raises(ValueError, match=message):
        fill()
    assert list(path.parent.iterdir()) == []


def test_a_failure_leaves_the_file_before_and_nothing_else(path):
    storage.write(path, ARRAYS, ORIGIN)
    content = path.read_bytes()

    def fail():
        with storage.Writer(path, {"x": ((4, 3), np.float64)}, ORIGIN) as writer:
            writer.append({"x": np.zeros((2, 3))})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_by_the_next(path):
    code = f"""
import os, signal
from pathlib import Path
from mechscreen.storage import replacing
with replacing(Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert left.name.startswith(".shard-00042.")
    other_host = left.with_name(left.name.replace(f".{files._host()}.", ".elsewhere."))
    other_host.write_text("of another machine, still written to")
    another = left.with_name(".shard-00043.host.1.aa.tmp.h5")
    another.write_text("of another file")
    storage.write(path, ARRAYS, ORIGIN)
    assert set(path.parent.iterdir()) == {path, other_host, another}
    os.utime(other_host, (0, 0))
    storage.write(path, ARRAYS, ORIGIN)
    assert set(path.parent.iterdir()) == {path, another}


def test_a_temporary_file_of_a_running_process_is_left_alone(path):
    with storage.replacing(path) as temporary:
        storage.write(path, ARRAYS, ORIGIN)
        assert temporary.exists()
        temporary.write_text("later")
    assert path.read_text() == "later"


def test_sha256_is_that_of_the_whole_file(path):
    storage.write(path, ARRAYS, ORIGIN)
    assert storage.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4), data=st.data())
def test_rows_of_several_files_are_those_of_their_concatenation(sizes, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    whole = np.random.default_rng(0).random((sum(sizes), 2, 3)).astype(np.float32)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    paths = [folder / f"shard-{number}.h5" for number in range(len(sizes))]
    for path, part in zip(paths, parts, strict=True):
        storage.write(path, {"profiles": part, "index": np.arange(len(part))}, ORIGIN)
    rows = storage.map_rows([(path, Origin()) for path in paths], "profiles", "simulations")
    assert (len(rows), rows.shape, rows.dtype) == (len(whole), whole.shape, whole.dtype)
    np.testing.assert_array_equal(np.asarray(rows), whole)
    chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9) if len(whole) else st.just([]))
    np.testing.assert_array_equal(rows[np.array(chosen, dtype=int)], whole[np.array(chosen, dtype=int)])
    for beyond in (len(whole), -1):
        with pytest.raises(IndexError):
            rows[np.array([beyond])]


def test_rows_of_a_damaged_file_are_refused(path):
    storage.write(path, ARRAYS, ORIGIN)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="is damaged"):
        storage.map_rows([(path, Origin())], "profiles", "simulations")


def test_rows_of_an_array_that_is_not_there_are_refused(path):
    storage.write(path, ARRAYS, ORIGIN)
    with pytest.raises(FileError, match="holds no array 'profile'"):
        storage.map_rows([(path, Origin())], "profile", "simulations")
