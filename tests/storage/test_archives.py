import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen import storage
from mechscreen.errors import FileError


def test_files_are_read_back_and_the_order_and_bytes_are_the_same_each_time(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"a" * 1000)
    files = {"z.txt": b"text", "deep/": b"", "deep/a.h5": tmp_path / "a.h5"}
    for name in ("one.zip", "two.zip"):
        storage.write_archive(tmp_path / name, files)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with storage.open_archive(tmp_path / "one.zip") as archive:
        assert archive.namelist() == list(files)
        storage.unpack(archive, "deep/", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["deep", "a.h5"]
    assert (tmp_path / "out/deep/a.h5").read_bytes() == b"a" * 1000


def test_an_archive_whose_file_is_missing_is_not_written(tmp_path):
    with pytest.raises(FileError, match=r"none\.h5: does not exist"):
        storage.write_archive(tmp_path / "x.zip", {"a.txt": b"a", "b.h5": tmp_path / "none.h5"})
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("a", "2")
    with (
        pytest.raises(FileError, match="two files of one name"),
        storage.open_archive(tmp_path / "x.zip") as archive,
    ):
        storage.unpack(archive, "", tmp_path / "out")


@settings(max_examples=200)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_whatever_is_changed_in_an_archive_it_is_unpacked_as_it_was_or_refused(tmp_path_factory, place, byte, cut):
    folder = tmp_path_factory.mktemp("changed")
    files = {"a.txt": b"some text " * 20, "b/c.h5": bytes(range(256))}
    storage.write_archive(folder / "x.zip", files)
    content = bytearray((folder / "x.zip").read_bytes())
    place %= len(content)
    content[place] = byte
    (folder / "x.zip").write_bytes(content[:place] if cut else content)
    try:
        with storage.open_archive(folder / "x.zip") as archive:
            storage.unpack(archive, "", folder / "out")
    except FileError:
        return
    unpacked = {path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    assert unpacked <= {*files.values(), b""}
    assert {path.name for path in folder.iterdir()} <= {"x.zip", "out"}
