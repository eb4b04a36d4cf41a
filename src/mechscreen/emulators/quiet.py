"""What programs of many processes, the command line above all, change in theirs before they import Keras."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

_NOTICE = re.compile(r"I\d{4} |WARNING: All log messages before absl::InitializeLog")

_quiet = False


def be_quiet() -> None:
    """Let networks, once they are imported, say warnings alone, heed ``OMP_NUM_THREADS`` and share a GPU's memory.

    It is cheap, and imports nothing.
    """
    global _quiet
    _quiet = True


def use_card(place: int) -> None:
    """Let networks, once they are imported, see one card alone, if SLURM or the user named several.

    Parameters
    ----------
    place
        Number of this process among those that share the cards.
    """
    cards = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(cards) > 1 and "keras" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = cards[place % len(cards)]


def importing() -> AbstractContextManager[None]:
    """Return the context in which `quiet_keras` imports Keras; it changes nothing unless asked to."""
    return _set_up() if _quiet else nullcontext()


@contextmanager
def _set_up() -> Iterator[None]:
    # Read by TensorFlow when it is first imported; else every rank has a thread per core whatever OMP_NUM_THREADS says.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Several members may share a GPU; by default the first to come takes all of its memory.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if "OMP_NUM_THREADS" in os.environ:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["OMP_NUM_THREADS"])
    # It looks for kinds of hardware, and tells of each that is not there.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    # Every network has a function of its own; TensorFlow takes those of an ensemble for one traced anew each time.
    logging.getLogger("tensorflow").addFilter(
        lambda record: "triggered tf.function retracing" not in record.getMessage()
    )
    with _without_notices():
        yield


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
