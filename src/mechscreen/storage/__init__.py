"""Files that are whole or absent, and whose every bit is checked when they are read.

Arrays are kept in HDF5 files, and what is told of them in JSON files. What a kind of file holds is declared: by a
subclass of `ArrayFile` or `StageRecord` (`mechscreen.schemas`).
"""

from mechscreen.errors import FileError, StorageError
from mechscreen.storage.archives import open_archive, unpack, write_archive
from mechscreen.storage.arrays import ArrayFile
from mechscreen.storage.files import (
    check_new,
    check_writable,
    exists,
    is_stale,
    is_temporary,
    listing,
    move_aside,
    parse_json,
    read_json,
    read_text,
    reading,
    remove,
    replacing,
    sha256,
    update_text,
    write_json,
    write_text,
)
from mechscreen.storage.hdf5 import Attribute
from mechscreen.storage.locks import hold, is_held
from mechscreen.storage.origin import FORMAT_VERSION, FormatError, Identity
from mechscreen.storage.reader import File, Rows, map_rows, open_file, open_unchecked, read, read_origin, verify
from mechscreen.storage.records import Record, StageRecord, first_problem
from mechscreen.storage.writer import Writer, write

__all__ = [
    "FORMAT_VERSION",
    "ArrayFile",
    "Attribute",
    "File",
    "FileError",
    "FormatError",
    "Identity",
    "Record",
    "Rows",
    "StageRecord",
    "StorageError",
    "Writer",
    "check_new",
    "check_writable",
    "exists",
    "first_problem",
    "hold",
    "is_held",
    "is_stale",
    "is_temporary",
    "listing",
    "map_rows",
    "move_aside",
    "open_archive",
    "open_file",
    "open_unchecked",
    "parse_json",
    "read",
    "read_json",
    "read_origin",
    "read_text",
    "reading",
    "remove",
    "replacing",
    "sha256",
    "unpack",
    "update_text",
    "verify",
    "write",
    "write_archive",
    "write_json",
    "write_text",
]
