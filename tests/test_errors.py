import errno
import os
from pathlib import Path

import pytest

from mechscreen.errors import FileError, InputError, MechscreenError, ModelError, StorageError, as_told, unreadable

PATH = Path("a.h5")
FOUR = (InputError("x"), ModelError("x"), FileError(PATH, "is damaged"), StorageError(PATH, "read", errno.ESTALE))


def test_none_of_the_four_passes_for_another():
    for error in FOUR:
        assert [type(other) for other in FOUR if isinstance(error, type(other))] == [type(error)]
        assert isinstance(error, MechscreenError)
        assert as_told(error) is error


def test_only_the_environments_errors_end_with_74():
    assert [error.exit_code for error in FOUR] == [2, 2, 2, 74]


def test_an_error_of_the_environment_says_file_reason_and_way_on():
    assert str(FOUR[3]) == "a.h5: cannot be read: the network file system lost it; run again"
    assert "error 11 (EAGAIN)" in str(StorageError(PATH, "read", 11))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_an_error_that_a_library_passes_on_is_told_too(number):
    told = as_told(OSError(number, os.strerror(number), "a.png"))
    assert isinstance(told, StorageError)
    assert str(told).startswith("a.png: cannot be read or written: ")


@pytest.mark.parametrize("error", [OSError("no number"), FileNotFoundError(errno.ENOENT, "x"), ValueError("x")])
def test_a_mistake_of_the_code_is_not_told(error):
    assert as_told(error) is None


def test_too_little_memory_is_told_and_ends_with_1():
    told = as_told(MemoryError("Unable to allocate 1 PiB"))
    assert told.exit_code == 1
    assert str(told) == "out of memory: Unable to allocate 1 PiB; give the job more memory"
    assert str(as_told(MemoryError())) == "out of memory: there was not enough of it; give the job more memory"


def test_a_path_that_is_none_is_the_users_mistake_and_a_lost_disk_is_not():
    missing = unreadable(PATH, FileNotFoundError(errno.ENOENT, "No such file or directory"), "give a CSV file")
    assert isinstance(missing, InputError)
    assert str(missing) == "a.h5: cannot be read (No such file or directory); give a CSV file"
    assert isinstance(unreadable(PATH, OSError(errno.EIO, "x"), "give a CSV file"), StorageError)
