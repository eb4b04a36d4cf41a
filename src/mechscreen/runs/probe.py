"""What `mechscreen doctor` runs where jobs run: ``python -m mechscreen.runs.probe ranks 2``, ``… gpu``."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mechscreen.emulators.quiet import be_quiet
from mechscreen.errors import InputError, MechscreenError
from mechscreen.ranks import Ranks
from mechscreen.runs.places import trouble

FOUND, FAILED, SAW = "mechscreen probe found:", "mechscreen probe failed:", "mechscreen probe saw:"
"""What the lines begin with that tell the finding, and what is wrong with the folders of a machine."""

_LATE = 120.0
"""Seconds that a file is waited for."""


def main() -> None:
    """Look, print one line, and exit with 0, or with 1 and the reason."""
    what, *rest = sys.argv[1:]
    be_quiet()
    try:
        found = ranks(int(rest[0]), Path(rest[1])) if what == "ranks" else gpu()
    except MechscreenError as error:
        print(FAILED, error, flush=True)
        sys.exit(1)
    if found:
        print(FOUND, found, flush=True)


def ranks(expected: int, marker: Path) -> str:
    """Return where the ranks of the communicator are, and how late a file that was just written is seen there."""
    us = Ranks.launched(expected)
    with us.together():
        start = time.monotonic()
        while not marker.exists():
            if time.monotonic() - start > _LATE:
                raise InputError(f"{node()} does not see {marker}; use a file system that all nodes share")
            time.sleep(0.1)
        here = (node(), time.monotonic() - start, trouble())
        places = us.gather(here)
    if not us.is_root:
        return ""
    for host, _, lines in places:
        tell(host, lines)
    hosts = sorted({host for host, _, _ in places})
    late = max(seconds for _, seconds, _ in places)
    return f"{us.size} ranks on {', '.join(hosts)}; a new file is seen after {late:.1f} s"


def gpu() -> str:
    """Return what Keras sees, after a product on it."""
    from mechscreen.emulators.quiet_keras import keras

    tell(node(), trouble())
    devices = keras.distribution.list_devices("gpu")
    if not devices:
        raise InputError(f"Keras ({keras.backend.backend()}) sees no GPU")
    keras.ops.convert_to_numpy(keras.ops.matmul(keras.ops.ones((256, 256)), keras.ops.ones((256, 256))))
    return f"Keras ({keras.backend.backend()}) sees {', '.join(map(str, devices))}"


def node() -> str:
    """Return the name of this node, as SLURM calls it where it does."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def tell(host: str, lines: Sequence[str]) -> None:
    """Print what is wrong with the folders of a machine."""
    for line in lines:
        print(SAW, f"{host}: {line}", flush=True)


if __name__ == "__main__":
    main()
