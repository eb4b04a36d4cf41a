import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mechscreen import storage
from mechscreen.errors import FileError, InputError


def test_temporary_files_keep_the_suffix(tmp_path):
    with storage.replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path


def test_text_and_json_are_written_atomically(tmp_path):
    path = tmp_path / "new" / "a.json"
    storage.write_json(path, {"α": [1, 2.5, None]})
    assert storage.read_json(path) == {"α": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(path, {"α": float("nan")})
    assert storage.read_json(path) == {"α": [1, 2.5, None]}
    storage.write_text(path, "{no")
    with pytest.raises(FileError, match=r"a\.json: not valid JSON .*; remove it"):
        storage.read_json(path)
    with pytest.raises(FileError, match=r"b\.json: does not exist; run the command"):
        storage.read_json(tmp_path / "b.json")
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_wrong_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.h5").mkdir()
    for path, message in [
        (tmp_path / "file" / "a.h5", "a part of its path is a file"),
        (tmp_path / "folder.h5", "is a folder, and a file has to be written there"),
        (tmp_path / ("a" * 300 + ".h5"), "its name is too long"),
    ]:
        with pytest.raises(InputError, match=message):
            storage.write(path, {"x": np.zeros(3)}, {"kind": "k", "campaign": "c", "identity": "{}"})
        with pytest.raises(InputError, match=message):
            storage.check_writable(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.h5"]
    storage.check_writable(tmp_path / "fine.h5")
    assert not (tmp_path / "fine.h5").exists()


def test_an_error_that_is_not_the_disks_passes_through(tmp_path):
    def fail():
        with storage.replacing(tmp_path / "a.txt"):
            raise OSError(errno.ECONNRESET, "reset")

    with pytest.raises(OSError, match="reset"):
        fail()


FILL_UP = """
import sys
from pathlib import Path
import numpy as np
from mechscreen import storage
from mechscreen.errors import StorageError
folder = Path(sys.argv[1])
{prepare}
for rows in (10, 200, 1000, 5000, 9000, 30000, 10):
    try:
        about = {{"kind": "k", "campaign": "c", "identity": "{{}}"}}
        storage.write(folder / "a.h5", {{"x": np.zeros((rows, 10))}}, about)
    except StorageError as error:
        assert "\\n" not in str(error), error
        print(str(error).split("cannot be written: ")[1])
        assert not (folder / "a.h5").exists()
    else:
        print("ok")
        (folder / "a.h5").unlink()
    assert [p.name for p in folder.iterdir() if p.name != "fill"] == []
"""


def fill_up(folder, prepare):
    """Write files of growing size until they no longer fit; return what was said."""
    done = subprocess.run(
        [sys.executable, "-c", FILL_UP.format(prepare=prepare), str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_size_limit_leaves_no_half_file(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))"
    said = fill_up(tmp_path, limit)
    assert said[:4] == ["ok"] * 4
    assert all("largest size allowed" in line for line in said[4:6])
    assert said[6] == "ok"


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root and the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_no_half_file(small_disk):
    said = fill_up(small_disk, "")
    assert said[:4] == ["ok"] * 4
    assert all("no space left on the disk; free some" in line for line in said[4:6])
    assert said[6] == "ok"


def test_a_disk_without_a_single_free_block_is_reported(small_disk):
    said = fill_up(small_disk, "(folder / 'fill').write_bytes(bytes(512 * 1024))")
    assert all("no space left on the disk; free some" in line for line in said)


def test_a_read_only_disk_is_reported(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert all("the file system is read-only" in line for line in fill_up(small_disk, ""))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_reported(tmp_path):
    tmp_path.chmod(0o500)
    assert all("permission denied" in line for line in fill_up(tmp_path, ""))


def test_a_text_is_written_where_it_differs_and_its_time_stays_where_it_does_not(tmp_path):
    path = tmp_path / "campaign.yaml"
    storage.update_text(path, "name: é\n")
    os.utime(path, (0, 0))
    storage.update_text(path, "name: é\n")
    assert (path.read_text(encoding="utf-8"), path.stat().st_mtime) == ("name: é\n", 0)
    storage.update_text(path, "name: x\n")
    assert path.read_text() == "name: x\n"
    path.write_bytes(b"\xff")
    storage.update_text(path, "name: x\n")
    assert path.read_text() == "name: x\n"


def test_a_text_that_cannot_be_read_is_not_written_over(tmp_path, monkeypatch):
    path = tmp_path / "campaign.yaml"
    path.write_text("name: x\n")

    def fails(*arguments, **options):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", fails)
        with pytest.raises(storage.StorageError):
            storage.update_text(path, "name: y\n")
    assert path.read_text() == "name: x\n"
