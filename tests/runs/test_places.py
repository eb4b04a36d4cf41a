import subprocess
from pathlib import Path

import pytest

from mechscreen.runs.places import caches, refusal, scratch, trouble


def test_scratch_is_what_the_environment_names_though_python_would_take_another(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/no/such/folder")
    assert scratch() == Path("/no/such/folder")
    monkeypatch.delenv("TMPDIR")
    monkeypatch.delenv("TEMP", raising=False)
    monkeypatch.delenv("TMP", raising=False)
    assert scratch() == Path("/tmp")


def test_caches_are_below_home_unless_moved(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert caches() == Path("/home/ada/.cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/ada")
    assert caches() == Path("/scratch/ada")


def test_a_home_that_is_no_folder_is_no_harm_where_caches_are_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (line,) = trouble()
    assert line == "caches: /dev/null/.cache: not a directory; set XDG_CACHE_HOME to a folder that takes files"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert trouble() == []


def test_a_full_file_system_is_said(tmp_path, monkeypatch):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        (place / "filler").write_bytes(bytes(4096))
        assert refusal(place) == "no space left on device"
        monkeypatch.setenv("TMPDIR", str(place))
        assert trouble()[0].startswith(f"scratch: {place}: no space left on device; set TMPDIR")
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_was_written_to_see_is_gone(tmp_path):
    assert refusal(tmp_path / "new") == ""
    assert not list((tmp_path / "new").iterdir())
