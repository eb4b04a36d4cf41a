"""Labels in a program of JAX: by the objective itself, or by what NumPy makes of the profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechscreen.objectives.base import UNDECIDED

Label = Callable[[Any, Any], Any]
"""Profiles (n, *shape) and log peaks (n, outputs) to labels (n,)."""

_FEW = 4
"""Samples that an objective is tried with."""


def on_host(label: Label, shape: tuple[int, ...], outputs: int) -> str:
    """Return why NumPy has to label profiles of this shape, "" where the objective can be compiled."""
    with jax.enable_x64(True):
        profiles = jax.ShapeDtypeStruct((_FEW, *shape), np.float32)
        log_peaks = jax.ShapeDtypeStruct((_FEW, outputs), np.float32)
        try:
            labels = jax.eval_shape(label, profiles, log_peaks)
        except Exception as error:  # whatever another's code makes of arrays that it does not know
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return f"the objective takes NumPy's arrays alone ({lines[0].rstrip('.')})"
    if labels.shape != (_FEW,) or not np.issubdtype(labels.dtype, np.integer):
        return f"the objective returns {labels.dtype} values of shape {labels.shape} for {_FEW} of JAX's"
    return ""


class Labels:
    """Labels profiles in a program.

    Parameters
    ----------
    label
        An objective for the outputs (`mechscreen.objectives.Labelling`).
    by_host
        Whether NumPy is to be asked.
    """

    def __init__(self, label: Label, by_host: bool) -> None:
        self._label = label
        self._by_host = by_host
        self._error: Exception | None = None

    def __call__(self, profiles: Any, log_peaks: Any) -> Any:
        """Return labels (n,), int32; `UNDECIDED` for those that NumPy is to be asked for again."""
        if not self._by_host:
            return self._label(profiles, log_peaks).astype(jnp.int32)
        return jax.pure_callback(self._asked, jax.ShapeDtypeStruct((len(profiles),), np.int32), profiles, log_peaks)

    def _asked(self, profiles: Any, log_peaks: Any) -> Any:
        try:
            return self._label(np.asarray(profiles), np.asarray(log_peaks)).astype(np.int32)
        except Exception as error:  # a program of JAX's would make a text of it
            self._error = error
            return np.full(len(profiles), UNDECIDED, np.int32)

    def check(self) -> None:
        """Raise what the objective raised while a program asked it."""
        if self._error is not None:
            raise self._error
