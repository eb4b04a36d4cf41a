"""What `mechscreen doctor` has jobs run: ``python -m mechscreen.runs.probe ranks 2``, ``… gpu``, ``… cards 4``."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mechscreen.emulators.backends.choice import prepare
from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.emulators.quiet import be_quiet, use_card
from mechscreen.errors import InputError, MechscreenError
from mechscreen.ranks import Ranks
from mechscreen.runs.places import trouble

FOUND, FAILED, SAW = "mechscreen probe found:", "mechscreen probe failed:", "mechscreen probe saw:"
"""What the lines begin with that tell the finding, and what is wrong with the folders of a machine."""

_LATE = 120.0
"""Seconds that a file is waited for."""
CARD_BYTES = 6e9
"""Of a card's memory for a screen as one program, at the most: `mechscreen.stages.on_device` cuts its batches so."""


def main() -> None:
    """Look, print one line, and exit with 0, or with 1 and the reason."""
    what, *rest = sys.argv[1:]
    be_quiet()
    try:
        match what:
            case "ranks":
                found = ranks(int(rest[0]), Path(rest[1]))
            case "cards":
                found = cards(int(rest[0]))
            case _:
                found = gpu()
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


def cards(expected: int) -> str:
    """Return which card each rank of a screen takes; an error if two take the same, or one has none or too little."""
    us = Ranks.launched(expected)
    with us.together():
        place = us.place_on_node()
        use_card(place)
        prepare(DevicePredictor.name)
        from mechscreen.emulators.quiet_keras import keras

        if keras.backend.backend() != "jax":
            raise InputError(f"Keras runs on {keras.backend.backend()}, and a screen on cards needs JAX")
        import jax

        devices = jax.local_devices()
        own = devices[place % len(devices)]
        named = os.environ.get("CUDA_VISIBLE_DEVICES") or str(own.id)
        room = (own.memory_stats() or {}).get("bytes_limit", 0)
        places = us.gather((node(), named, own.platform, room))
    if not us.is_root:
        return ""
    for (host, name), ranks_of_it in Counter((host, name) for host, name, *_ in places).items():
        if ranks_of_it > 1:
            raise InputError(f"{ranks_of_it} ranks on {host} take card {name}")
    on = sorted({host for host, *_ in places})
    told = f"{us.size} ranks on {', '.join(on)} take a card each"
    without = sorted({host for host, _, platform, _ in places if platform == "cpu"})
    if without:
        raise InputError(f"{told}, and JAX sees no GPU on {', '.join(without)}")
    least = min(room for *_, room in places)
    if least < CARD_BYTES:
        raise InputError(f"{told}, of {least / 1e9:.1f} GB for JAX; a screen may need {CARD_BYTES / 1e9:.0f} GB")
    return f"{told}, of {least / 1e9:.0f} GB at least"


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
