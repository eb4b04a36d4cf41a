"""An ensemble as one file of ONNX, which programs without mechscreen, Keras or Python run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.labels import distinct
from mechscreen.models import Output
from mechscreen.reading.folder import open_results
from mechscreen.spaces import Parameter
from mechscreen.stages.packed import METADATA
from mechscreen.stages.predict import TrainedEnsemble, load_ensemble
from mechscreen.version import __version__

_MOST = 2**31 - 1
"""Bytes of a file of ONNX."""


def export_emulator(source: Path, to: Path) -> str:
    """Write an ensemble as ONNX; return what is to be said about it.

    Parameters
    ----------
    source
        A folder of results, an ensemble's folder, or a data package.
    to
        ``.onnx``.

    Raises
    ------
    InputError
        If there is no such kind of file, there is one already, or a network has a layer that ONNX does not know.
    FileError, StorageError
        As `mechscreen.stages.predict.load_ensemble`; if the file cannot be written.
    """
    if to.suffix != ".onnx":
        raise InputError(f"{to}: no kind of file '{to.suffix}' for an emulator (valid: .onnx)")
    storage.check_new(to)
    storage.check_writable(to)
    # Before the networks, which take seconds to load.
    import onnx  # noqa: F401

    of_campaign = storage.exists(source / "campaign.yaml") and not storage.exists(source / METADATA)
    trained = load_ensemble(open_results(source).campaign.paths.emulators if of_campaign else source)
    model = to_onnx(trained)
    if model.ByteSize() > _MOST:
        raise InputError(
            f"{to}: would have {model.ByteSize() / 1e9:.1f} GB, and ONNX allows 2.1; take smaller networks"
        )
    with storage.replacing(to) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
    ensemble = trained.ensemble
    return f"{to}: {len(ensemble.members)} networks, combined by {ensemble.combine}, {model.ByteSize() / 1e6:.1f} MB"


def to_onnx(trained: TrainedEnsemble) -> Any:
    """Return an ensemble as an `onnx.ModelProto` (`mechscreen.emulators.to_onnx.ensemble.ensemble_graph`).

    What the names stand for, with units, ranges and grids, is in its metadata, as JSON: ``parameters``, ``outputs``.
    """
    from mechscreen.emulators.to_onnx.ensemble import DISAGREEMENT, MEMBERS, PARAMETERS, ensemble_graph
    from mechscreen.emulators.to_onnx.graph import make_model

    plain = [_plain(output.name) for output in trained.outputs]
    names = distinct(plain, [PARAMETERS, DISAGREEMENT, *(name + MEMBERS for name in plain)])
    graph = ensemble_graph(trained.ensemble, trained.space, names)
    metadata = {
        "parameters": _json(map(_of_parameter, trained.space)),
        "outputs": _json(map(_of_output, trained.outputs, names)),
        "combine": trained.ensemble.combine,
        "members": str(len(trained.ensemble.members)),
    }
    return make_model(graph, "mechscreen", __version__, metadata)


def _plain(name: str) -> str:
    """Return a name of letters, digits and underscores, as ONNX wants them."""
    text = re.sub(r"[^0-9A-Za-z_]", "_", name)
    return f"_{text}" if text[:1].isdigit() else text


def _json(values: Iterable[Any]) -> str:
    return json.dumps(list(values), ensure_ascii=False)


def _of_parameter(parameter: Parameter) -> dict[str, Any]:
    own = {name: getattr(parameter, name) for name in ("name", "unit", "meaning", "low", "high", "scale", "integer")}
    return own | {"categories": list(parameter.categories)}


def _of_output(output: Output, name: str) -> dict[str, Any]:
    return {
        "name": output.name,
        "called": name,
        "unit": output.unit,
        "shape": list(output.shape),
        "axes": list(output.axes),
        "grids": [grid.tolist() for grid in output.grids],
    }
