from dataclasses import dataclass, fields
from typing import Annotated

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.errors import FileError
from mechscreen.storage import ArrayFile

ORIGIN = {"campaign": "a1b2", "identity": "{}", "seed": 7}


@dataclass(frozen=True, kw_only=True)
class About(ArrayFile):
    names: Annotated[NDArray[np.str_], "d"]
    unit: str = "none"


@dataclass(frozen=True, kw_only=True)
class Trajectories(ArrayFile, kind="trajectories"):
    number: int
    limit: float
    values: Annotated[NDArray[np.float64], "n d"]
    profiles: Annotated[NDArray[np.float32], "n *shape"]
    reasons: Annotated[NDArray[np.str_], "n"]
    flags: Annotated[NDArray[np.bool_], "n 2"]
    extra: Annotated[NDArray[np.int64], "n"] | None = None
    about: About


class PartlyDone(Trajectories, kind="partial trajectories"):
    pass


def made(n=3, d=2, shape=(1, 4), **values):
    content = {
        "number": 5,
        "limit": 0.5,
        "values": np.arange(n * d, dtype=float).reshape(n, d),
        "profiles": np.ones((n, *shape), np.float32),
        "reasons": np.array(["", "außer Bereich", "Ω"] * n, dtype=str)[:n],
        "flags": np.zeros((n, 2), bool),
        "about": About(names=np.array([f"p{k}" for k in range(d)], dtype=str)),
    }
    return Trajectories(**{**content, **values})


def assert_same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, ArrayFile):
            assert_same(a, b)
        elif isinstance(a, np.ndarray):
            assert a.dtype.kind == b.dtype.kind
            np.testing.assert_array_equal(a, b, strict=a.dtype.kind != "U")
        else:
            assert a == b


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 4),
    d=st.integers(1, 3),
    shape=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    extra=st.booleans(),
)
def test_what_is_written_comes_back_whatever_the_sizes(n, d, shape, extra, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "file.h5"
    content = made(n, d, shape, extra=np.arange(n) if extra else None)
    content.write(path, ORIGIN)
    assert_same(Trajectories.read(path, n=n, d=d, shape=shape), content)
    with Trajectories.open(path) as opened:
        np.testing.assert_array_equal(opened.values[: n // 2], content.values[: n // 2])
        assert list(opened.reasons[:]) == content.reasons.tolist()


def test_attributes_and_arrays_stand_in_the_file_as_declared(tmp_path):
    made().write(tmp_path / "file.h5", ORIGIN)
    with h5py.File(tmp_path / "file.h5") as file:
        assert set(file) == {"values", "profiles", "reasons", "flags", "names"}
        assert {"number", "limit", "unit", "kind", "campaign", "identity", "seed"} <= set(file.attrs)
        assert file.attrs["kind"] == b"trajectories"


def test_a_file_written_in_pieces_is_that_of_the_whole(tmp_path):
    whole = made()
    whole.write(tmp_path / "whole.h5", ORIGIN)
    known = {"number": 5, "limit": 0.5, "reasons": whole.reasons, "about": whole.about}
    with Trajectories.writer(tmp_path / "pieces.h5", ORIGIN, {"n": 3, "d": 2, "shape": (1, 4)}, known) as writer:
        for rows in (slice(0, 1), slice(1, 3)):
            writer.append({name: getattr(whole, name)[rows] for name in ("values", "profiles", "flags")})
    assert_same(Trajectories.read(tmp_path / "pieces.h5"), whole)
    unfilled = Trajectories.writer(tmp_path / "none.h5", ORIGIN, {"n": 3, "d": 2, "shape": (1, 4)}, known)
    with pytest.raises(ValueError, match="array 'values': 0 of 3 rows were written"), unfilled:
        pass
    assert not (tmp_path / "none.h5").exists()


@pytest.mark.parametrize(
    ("change", "sizes", "message"),
    [
        ({}, {"n": 4}, r"'values' has shape \(3, 2\), expected \(4, d\)"),
        ({}, {"shape": (2, 4)}, r"'profiles' has shape \(3, 1, 4\), expected \(3, 2, 4\)"),
        ({"reasons": np.array(["a", "b"])}, {}, r"'reasons' has shape \(2,\), expected \(3,\)"),
        ({"profiles": np.ones((3, 1, 4))}, {}, "'profiles' is of type float64, expected float32"),
        ({"values": np.ones(3)}, {}, r"'values' has shape \(3,\), expected \(3, d\)"),
        ({"flags": np.zeros((3, 3), bool)}, {}, r"'flags' has shape \(3, 3\), expected \(3, 2\)"),
        ({"reasons": np.arange(3)}, {}, "'reasons' is of type int64, expected text"),
        ({"about": About(names=np.array(["a", "b", "c"]))}, {}, r"'names' has shape \(3,\), expected \(2,\)"),
    ],
)
def test_what_is_not_as_declared_is_named_by_readers_and_never_written(tmp_path, change, sizes, message):
    path, content = tmp_path / "file.h5", made(**change)
    if change:
        with pytest.raises(ValueError, match=message):
            content.write(path, ORIGIN)
        assert not path.exists()
    arrays = {field.name: getattr(content, field.name) for field in fields(content)}
    about = arrays.pop("about")
    arrays = {name: value for name, value in arrays.items() if isinstance(value, np.ndarray)}
    attributes = {**ORIGIN, "kind": "trajectories", "number": 5, "limit": 0.5}
    storage.write(path, {**arrays, "names": about.names}, attributes)
    with pytest.raises(FileError, match=message):
        Trajectories.read(path, **sizes)
    with pytest.raises(FileError, match=message):
        Trajectories.verify(path, **sizes)


@pytest.mark.parametrize(
    ("arrays", "attributes", "message"),
    [
        ({"values"}, {"number": 5, "limit": 0.5}, "holds no array 'profiles'"),
        ({"values", "profiles", "reasons", "flags", "names"}, {"number": 5}, "lacks the attribute 'limit'"),
        ({"values", "profiles", "reasons", "flags", "names"}, {"number": "5", "limit": 1.0}, "'number' is no int"),
    ],
)
def test_what_is_missing_is_named(tmp_path, arrays, attributes, message):
    content = made()
    everything = {"names": content.about.names} | {
        name: getattr(content, name) for name in ("values", "profiles", "reasons", "flags")
    }
    held = {name: values for name, values in everything.items() if name in arrays}
    storage.write(tmp_path / "file.h5", held, {**ORIGIN, "kind": "trajectories", **attributes})
    with pytest.raises(FileError, match=message):
        Trajectories.read(tmp_path / "file.h5")


def test_a_part_done_is_no_whole(tmp_path):
    whole = made()
    part = PartlyDone(**{field.name: getattr(whole, field.name) for field in fields(whole)})
    part.write(tmp_path / "part.h5", ORIGIN)
    assert_same(PartlyDone.read(tmp_path / "part.h5"), part)
    with pytest.raises(FileError, match="holds 'partial trajectories' where 'trajectories' is expected"):
        Trajectories.read(tmp_path / "part.h5")


def test_what_a_later_version_adds_is_passed_over(tmp_path):
    content = made()
    arrays = {"names": content.about.names, "later": np.zeros(2)} | {
        name: getattr(content, name) for name in ("values", "profiles", "reasons", "flags")
    }
    attributes = {**ORIGIN, "kind": "trajectories", "number": 5, "limit": 0.5, "later too": "x"}
    storage.write(tmp_path / "file.h5", arrays, attributes)
    assert_same(Trajectories.read(tmp_path / "file.h5"), content)
