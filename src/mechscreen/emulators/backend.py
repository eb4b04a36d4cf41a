"""Keras, imported once, with the settings that a quiet run of many processes needs."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Read by TensorFlow when it is first imported; else every rank has a thread per core whatever OMP_NUM_THREADS says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Several members may share a GPU; by default the first to come takes all of its memory.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["OMP_NUM_THREADS"])

_NOTICE = re.compile(r"I\d{4} |WARNING: All log messages before absl::InitializeLog")


@contextmanager
def _without_notices() -> Iterator[None]:
    """Keep from the log what TensorFlow writes while it starts, below warnings; no setting of its own does."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        original = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            kept.seek(0)
            lines = kept.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if not _NOTICE.match(line)))


with _without_notices():
    import keras

# Every network has a function of its own; TensorFlow takes those of an ensemble for one that is traced again and again.
logging.getLogger("tensorflow").addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

__all__ = ["PACKAGE", "has_gpu", "keras"]

PACKAGE = "mechscreen"
"""What the layers that are registered with Keras are saved under."""


def has_gpu() -> bool:
    """Return whether Keras sees a GPU."""
    return bool(keras.distribution.list_devices("gpu"))
