"""Models behind a URL, by the protocol of UM-Bridge (Seelinger et al. 2023, J. Open Source Softw. 8:4748), version 1.0.

Requests are made with the standard library: the package `umbridge` brings aiohttp, and an outdated copy of `asyncio`
under the name of Python's own.
"""

from __future__ import annotations

import errno
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, check_keys, nearest
from mechscreen.models.base import Model, Solution
from mechscreen.models.options import mapping_of, parameter_of, points_of
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.spaces import ParameterSpace

_WHERE = "model 'umbridge'"
_PROTOCOL = 1.0
_MOST_BYTES = 2**26
"""Of an answer."""
_LONGEST = 400
_OUTPUT_KEYS = ("vector", "first", "grid", "scale", "unit", "floor", "grid_name", "grid_unit", "view")


class Unusable(Exception):  # noqa: N818 - its text is the reason that people read
    """What the server answers is of no use: why."""


class UMBridgeModel(Model):
    """A model that a server evaluates, one request for each sample.

    Parameters
    ----------
    url
        Of the server: ``http://localhost:4242``.
    model
        Its name there; "" where the server has one model alone.
    parameters
        Name → ``[low, high]``, or a mapping to fields of `mechscreen.Parameter`. In this order they fill the model's
        input vectors, one after another; one that is held has equal ends.
    outputs
        Name → ``{vector: 0, first: 0}``: the vector of what the model returns, and the place in it where the output
        begins. With ``grid``, a profile or time series of as many values: the points, or ``{start, end, points}``;
        without, a number. Further keys are those of `mechscreen.Output`: scale, unit, floor, ….
    config
        What the model is told beside its inputs.
    time_limit
        Seconds that a request may take.

    Notes
    -----
    Nothing is asked of the server before the first sample, so that a campaign can be checked, trained and read without
    it.
    """

    name: ClassVar[str] = "umbridge"
    version: ClassVar[str] = "1"

    def __init__(
        self,
        url: str = "",
        model: str = "",
        parameters: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        time_limit: float = 600.0,
    ) -> None:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InputError(f"{_WHERE}: url is {url!r}; give the server's, such as http://localhost:4242")
        given = mapping_of(_WHERE, "parameters", parameters, "{k1: [0.1, 10]}")
        self.space = ParameterSpace([parameter_of(_WHERE, name, of_it) for name, of_it in given.items()])
        asked = mapping_of(_WHERE, "outputs", outputs, "{y: {vector: 0}}")
        self._slices = [_Slice.of(name, of_it) for name, of_it in asked.items()]
        self.outputs = tuple(found.output for found in self._slices)
        if not (isinstance(time_limit, int | float) and 0 < time_limit < 1e7):
            raise InputError(f"{_WHERE}: time_limit = {time_limit!r} is no number of seconds")
        self._url = url.rstrip("/")
        self._model = model
        self._config = dict(config or {})
        self._time_limit = float(time_limit)

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Have the server evaluate each sample; see `Model.solve`."""
        found = {part.output.name: np.full((len(parameters), *part.output.shape), np.nan) for part in self._slices}
        reasons = [""] * len(parameters)
        for row, values in enumerate(parameters):
            try:
                vectors = self._evaluate(values)
            except Unusable as why:
                reasons[row] = str(why)
                continue
            for part in self._slices:
                found[part.output.name][row] = part.read(vectors)
        return Solution(found, reasons)

    def _evaluate(self, values: FloatArray) -> list[FloatArray]:
        """Return the vectors of a sample."""
        signature = self._signature
        ends = np.cumsum(signature.inputs)[:-1]
        inputs = [part.tolist() for part in np.split(values, ends)]
        answer = self._ask("Evaluate", {"name": signature.name, "input": inputs, "config": self._config})
        try:
            vectors = [np.array(vector, dtype=float) for vector in answer["output"]]
        except (KeyError, TypeError, ValueError):
            raise Unusable("the server's answer to Evaluate has no 'output' of numbers") from None
        sizes = [vector.size for vector in vectors]
        if sizes != signature.outputs:
            raise Unusable(
                f"the model returned vectors of {_listed(sizes)} values, and said {_listed(signature.outputs)}"
            )
        return vectors

    @cached_property
    def _signature(self) -> _Signature:
        """What the server says of the model, which is compared with what is asked of it."""
        about = self._ask("Info")
        if about.get("protocolVersion") != _PROTOCOL:
            raise InputError(
                f"{_WHERE}: {self._url} speaks version {about.get('protocolVersion')} of the protocol, not 1.0"
            )
        names = [str(name) for name in about.get("models", [])]
        name = self._model or (names[0] if len(names) == 1 else "")
        if name not in names:
            raise InputError(
                f"{_WHERE}: {self._url} has no model '{name}'{nearest(name, names)} (valid: {_listed(names)})"
            )
        if not self._ask("ModelInfo", {"name": name}).get("support", {}).get("Evaluate"):
            raise InputError(f"{_WHERE}: '{name}' at {self._url} cannot be evaluated")
        asked = {"name": name, "config": self._config}
        signature = _Signature(name, self._sizes("Input", asked), self._sizes("Output", asked))
        if sum(signature.inputs) != len(self.space):
            raise InputError(
                f"{_WHERE}: '{name}' takes {sum(signature.inputs)} values (vectors of {_listed(signature.inputs)}), "
                f"and {len(self.space)} parameters are given; give one for each"
            )
        for part in self._slices:
            part.check(signature.outputs)
        return signature

    def _sizes(self, kind: str, asked: Mapping[str, Any]) -> list[int]:
        try:
            return [int(size) for size in self._ask(f"{kind}Sizes", asked)[f"{kind.lower()}Sizes"]]
        except (KeyError, TypeError, ValueError):
            raise Unusable(f"the server's answer to {kind}Sizes has no sizes") from None

    def _ask(self, what: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the server's answer to a request.

        Raises
        ------
        Unusable
            If it says that something is wrong, does not answer in time, or not in JSON.
        ConnectionRefusedError
            If there is no server, which is no fault of a sample.
        """
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self._url}/{what}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self._time_limit) as response:
                text = response.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise Unusable(_told(error.read(_MOST_BYTES)) or f"{what}: the server answers {error.code}") from None
        except TimeoutError:
            raise Unusable(f"{what}: no answer within {self._time_limit:g} s") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise Unusable(f"{what}: no answer within {self._time_limit:g} s") from None
            if isinstance(error.reason, ConnectionResetError | BrokenPipeError):
                raise Unusable(f"{what}: the server ended the connection") from None
            raise ConnectionRefusedError(errno.ECONNREFUSED, str(error.reason), self._url) from None
        except (ConnectionError, http.client.HTTPException):
            raise Unusable(f"{what}: the server ended the connection") from None
        if len(text) > _MOST_BYTES:
            raise Unusable(f"{what}: the answer has more than is read ({_MOST_BYTES / 1e6:.0f} MB)")
        if told := _told(text):
            raise Unusable(told)
        try:
            answer = json.loads(text)
        except ValueError:
            raise Unusable(f"{what}: the answer is no JSON") from None
        if not isinstance(answer, dict):
            raise Unusable(f"{what}: the answer is no JSON object")
        return answer


@dataclass(frozen=True)
class _Signature:
    """A model's name on its server, and the sizes of its vectors."""

    name: str
    inputs: list[int]
    outputs: list[int]


@dataclass(frozen=True)
class _Slice:
    """An output, and where it stands in what the model returns."""

    output: Output
    vector: int
    first: int

    @classmethod
    def of(cls, name: Any, given: Any) -> _Slice:
        where = f"{_WHERE}, output '{name}'"
        if not isinstance(given, Mapping):
            raise InputError(f"{where}: {given!r} does not say where it stands; give {{vector: 0, first: 0}}")
        check_keys(where, given, _OUTPUT_KEYS)
        for key in ("vector", "first"):
            place = given.get(key, 0)
            if isinstance(place, bool) or not isinstance(place, int) or place < 0:
                raise InputError(f"{where}: {key} is {place!r}; places are counted from 0")
        fields = {key: given[key] for key in _OUTPUT_KEYS[3:] if key in given}
        return cls(
            Output(str(name), points_of(where, given.get("grid")), **fields),
            given.get("vector", 0),
            given.get("first", 0),
        )

    def check(self, sizes: Sequence[int]) -> None:
        """See that there is such a place."""
        where = f"{_WHERE}, output '{self.output.name}'"
        if self.vector >= len(sizes):
            raise InputError(f"{where}: no vector {self.vector}; the model returns vectors of {_listed(sizes)} values")
        end = self.first + self.output.size
        if end > sizes[self.vector]:
            raise InputError(
                f"{where}: ends with value {end} of vector {self.vector}, which has {sizes[self.vector]}; change "
                "first, or the grid"
            )

    def read(self, vectors: Sequence[FloatArray]) -> FloatArray:
        """Return its values of a sample."""
        return vectors[self.vector][self.first : self.first + self.output.size].reshape(self.output.shape)


def _told(text: bytes) -> str:
    """Return what an answer says is wrong; "" where it says nothing of the kind."""
    try:
        error = json.loads(text)["error"]
        told = f"{error['type']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(told.split())[:_LONGEST]


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(map(str, items)) or "none"
