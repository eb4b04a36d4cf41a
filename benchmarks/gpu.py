"""A screen and trainings on a card, in pieces of ten minutes at most that go on where one was stopped.

    python benchmarks/gpu.py results/gpu data train screen       # what is wanted, in this order
    python benchmarks/gpu.py results/gpu large --count 3000000000
    python benchmarks/gpu.py results/gpu all --small             # minutes on a processor: does it run?

    products   a plain bfloat16 product of 8192 by 8192 matrices, and those of a layer of the members: the ceilings
    data       simulations of the pattern model with `binding: reference`, by all cores; --simulations of them
    train      epochs of one member and of five together, of the dense network: seconds each, and of 60
    lstm       epochs of four of the paper's networks together, batches of 100 and of 1000: seconds each, and of 500
    members    four dense members, trained as long as --minutes allow, for what follows
    screen     sets a second by size of the program's batches, and where the time of one goes
    large      `mechscreen screen` of one block of --count, by the clock: start, compilation and all
    peer       the products of four members by torch.compile beside those of JAX
    same       hits of a block beside those that processors find: in one, in both, in the other alone

Everything that is made, and a table of what was measured, ``measured.json``, is in the folder; networks that the
simulations would take too long for come from a folder of the same kind that was brought along. Where a card is lent for
some minutes, one call with several pieces is the cheapest. Needs JAX; on a card, `jax[cuda12]` or newer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as np
import yaml

from mechscreen.campaign import Campaign

PIECES = ("products", "data", "train", "lstm", "members", "screen", "large", "peer", "same")
REPEATS = 7
DENSE = {"network": "dense"}
LSTM = {"network": "lstm", "embedding": 64, "units": 256, "feedback": 16}
OF_THE_PAPER = {
    "epochs": 500, "batch_size": 100, "learning_rate": 1e-4, "schedule": "constant", "loss": "mse", "beta_1": 0.5,
    "weight_decay": 0.0,
}  # fmt: skip


class Bench:
    """What is measured, and where it is kept.

    Parameters
    ----------
    folder
        Of all that is made.
    options
        Of the command line.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.small = options.small
        folder.mkdir(parents=True, exist_ok=True)

    def note(self, piece: str, **values: Any) -> None:
        """Keep what was measured, and print it."""
        import jax

        path = self.folder / "measured.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        device = jax.devices()[0]
        about = {"device": device.device_kind, "jax": jax.__version__, "when": time.strftime("%Y-%m-%d %H:%M")}
        kept[piece] = {**about, **values}
        path.write_text(json.dumps(kept, indent=1) + "\n")
        print(piece, json.dumps(kept[piece]), flush=True)

    def campaign(self, **emulators: Any) -> Campaign:
        """Return the campaign: the paper's sizes and simulations, and these emulators."""
        count = self.options.simulations
        values = {
            "name": "gpu",
            "seed": 2019,
            "results": str(self.folder),
            "model": {"name": "pattern", "options": {"binding": "reference"}},
            "simulations": {"count": count, "shard_size": max(1, count // 64)},
            "emulators": {
                "members": 4,
                "architecture": DENSE,
                "precision": "bfloat16",
                "backend": "device",
                **emulators,
            },
            "screen": {
                "count": self.options.count,
                "block_size": self.options.count,
                "objective": {"name": "rings", "target": ["3", "4", "5 or more"]},
            },
        }
        if self.small:
            values["emulators"]["architecture"] = {**DENSE, "width": 64, "blocks": 1}
        return Campaign.from_dict(values)

    # The pieces.

    def products(self) -> None:
        """Time plain products."""
        import jax
        import jax.numpy as jnp

        def rate(rows: int, inner: int, columns: int, members: int) -> float:
            keys = jax.random.split(jax.random.key(0), 2)
            a = jax.random.normal(keys[0], (members, rows, inner), jnp.bfloat16)
            b = jax.random.normal(keys[1], (members, inner, columns), jnp.bfloat16)
            multiply = jax.jit(lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32).astype(jnp.bfloat16))
            return 2 * members * rows * inner * columns / seconds(lambda: multiply(a, b)) / 1e12

        side = 1024 if self.small else 8192
        self.note("products", tflops_square=rate(side, side, side, 1), tflops_layer=rate(2 * side, 512, 512, 4))

    def data(self) -> None:
        """Simulate and merge."""
        from mechscreen.stages.merge import merge

        campaign, start = self.campaign(), time.perf_counter()
        path = self.folder / "gpu.yaml"
        path.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            list(pool.map(_simulate, [(str(path), shard) for shard in range(campaign.simulations.shards)]))
        merge(campaign)
        self.note("data", simulations=campaign.simulations.count, seconds=time.perf_counter() - start)

    def train(self) -> None:
        """Time epochs of the dense network."""
        for members in (1, 5):
            self._epochs(f"train {members}", members, 60, architecture=DENSE)
            self._epochs(f"train {members} mixed", members, 60, architecture=DENSE, precision="mixed_bfloat16")

    def lstm(self) -> None:
        """Time epochs of the paper's network."""
        for batch, rate in ((100, 1e-4), (1000, 3e-4)):
            self._epochs(f"lstm {batch}", 4, 500, architecture=LSTM, batch_size=batch, learning_rate=rate)

    def _epochs(self, name: str, members: int, epochs: int, architecture: Any, **training: Any) -> None:
        """Time whole epochs of some members together, and say what all of them would take."""
        from mechscreen.emulators.training import Together
        from mechscreen.stages.train import _begin

        of_kind = OF_THE_PAPER if architecture is LSTM else {"epochs": epochs}
        if self.small:
            architecture = {**architecture, **({"units": 16} if architecture is LSTM else {"width": 64, "blocks": 1})}
        campaign = self.campaign(members=members, architecture=architecture, training={**of_kind, **training})
        together = Together([_begin(campaign, member, None) for member in range(members)])
        times = [timed(together.run_epoch) for _ in range(2 if self.small else 4)]
        # The first one compiles.
        each = float(np.median(times[1:]))
        rows = together.trainings[0].samples
        error = [training.history[-1]["validation_rmse"] for training in together.trainings]
        self.note(
            name, samples=len(rows), first=times[0], epoch=each, all_epochs=times[0] + each * (epochs - 1), errors=error
        )

    def members(self) -> None:
        """Train members for what follows."""
        from mechscreen.ranks import Deadline, Interrupted
        from mechscreen.stages.train import train_together

        start = time.perf_counter()
        try:
            with Deadline(60 * self.options.minutes) as deadline:
                train_together(self.campaign(training=self._training()), deadline)
        except Interrupted as stopped:
            print(stopped)
        else:
            self.note("members", seconds=time.perf_counter() - start)

    def _training(self) -> dict[str, Any]:
        return {"epochs": 2 if self.small else 60, "precision": "mixed_bfloat16"}

    def screen(self) -> None:
        """Time the program by the size of its batches, and the parts of one."""
        from mechscreen.stages import on_device
        from mechscreen.stages.predict import load_campaign_ensemble
        from mechscreen.stages.search import Search
        from mechscreen.tally import ALL_KEYS

        campaign = self.campaign(training=self._training())
        search, ensemble = Search(campaign), load_campaign_ensemble(campaign)
        keys = np.full(len(campaign.screen_classes), ALL_KEYS)
        rates, best = {}, (0.0, 0)
        for batch in (256, 512) if self.small else (4096, 8192, 16384, 32768, 65536):
            program = on_device.make_program(search, ensemble, batch=batch)
            samples = batch * (4 if self.small else max(1, 2**24 // batch))
            rates[batch] = samples / seconds(partial(program.look, 0, samples, keys), 3)
            best = max(best, (rates[batch], batch))
        self.note("screen", sets_a_second=rates, parts=parts(search, ensemble, best[1]), batch=best[1])

    def large(self) -> None:
        """Time a whole job of the screen."""
        path = self.folder / "gpu.yaml"
        campaign = self.campaign(training=self._training())
        path.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
        campaign.paths.block(0).unlink(missing_ok=True)
        command = [sys.executable, "-m", "mechscreen", "screen", "--config", str(path), "--block", "0"]
        taken = timed(lambda: subprocess.run(command, check=True))
        self.note(f"large {campaign.screen.count}", seconds=taken, hits=len(self._hits(campaign)))

    def _hits(self, campaign: Campaign) -> np.ndarray[Any, Any]:
        from mechscreen.stages.search import Search

        return Search(campaign).read_block(0)[1].index

    def peer(self) -> None:
        """Time the products of four members by PyTorch's compiler, and by JAX."""
        import jax
        import jax.numpy as jnp
        import torch

        width, blocks, points, rows = (64, 1, 501, 512) if self.small else (512, 4, 501, 16384)
        sizes = [(26, width), *[(width, width)] * (2 * blocks), (width, points)]
        rng = np.random.default_rng(0)
        weights = [rng.normal(0, size[0] ** -0.5, (4, *size)).astype(np.float32) for size in sizes]
        inputs = rng.normal(size=(rows, 26)).astype(np.float32)
        card = "cuda" if torch.cuda.is_available() else "cpu"

        def layers(x: Any, matrices: Any, multiply: Any, gelu: Any) -> Any:
            x = gelu(multiply(x, matrices[0]))
            for first, second in zip(matrices[1:-1:2], matrices[2:-1:2], strict=True):
                x = gelu(x + multiply(gelu(multiply(x, first)), second))
            return multiply(x, matrices[-1])

        in_torch = [torch.tensor(w, device=card, dtype=torch.bfloat16) for w in weights]
        x = torch.tensor(inputs, device=card, dtype=torch.bfloat16).expand(4, -1, -1)
        gelu = torch.nn.functional.gelu
        compiled = torch.compile(lambda x: layers(x, in_torch, torch.bmm, gelu))

        def by_torch() -> Any:
            with torch.no_grad():
                said = compiled(x)
            if card == "cuda":
                torch.cuda.synchronize()
            return said

        in_jax = [jnp.asarray(w, jnp.bfloat16) for w in weights]
        y = jnp.broadcast_to(jnp.asarray(inputs, jnp.bfloat16), (4, *inputs.shape))
        program = jax.jit(lambda y, matrices: layers(y, matrices, jnp.matmul, partial(jax.nn.gelu, approximate=False)))
        of_both = by_torch().float().cpu().numpy(), np.asarray(program(y, in_jax), np.float32)
        self.note(
            "peer",
            torch=torch.__version__,
            apart=float(np.abs(of_both[0] - of_both[1]).max() / np.abs(of_both[1]).max()),
            sets_a_second_torch=rows / seconds(by_torch),
            sets_a_second_jax=rows / seconds(lambda: program(y, in_jax)),
        )

    def same(self) -> None:
        """Compare the hits of a block with those that were found elsewhere, ``block-elsewhere.h5`` in the folder."""
        campaign = self.campaign(training=self._training())
        here = self._hits(campaign)
        path = self.folder / "block-elsewhere.h5"
        if not path.exists():
            print(f"same: put the block that processors made at {path}")
            return
        import h5py

        with h5py.File(path) as file:
            there = file["hits/index"][:]
        both = np.intersect1d(here, there)
        self.note("same", both=len(both), here_alone=len(here) - len(both), there_alone=len(there) - len(both))


def _simulate(job: tuple[str, int]) -> None:
    from mechscreen.campaign import read_mapping
    from mechscreen.stages.simulate import simulate

    path, shard = job
    simulate(Campaign.from_dict(read_mapping(Path(path))), shard)


def parts(search: Any, ensemble: Any, batch: int) -> dict[str, float]:
    """Return the microseconds of a parameter set in each part of a batch, compiled by itself."""
    import jax
    import jax.numpy as jnp

    from mechscreen.device.combination import combine
    from mechscreen.device.draws import Source
    from mechscreen.device.planes import Planes
    from mechscreen.emulators.backends.device import as_members

    found = {}

    def part(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        compiled = jax.jit(work)
        result = compiled(*arguments)
        found[name] = 1e6 * seconds(lambda: compiled(*arguments)) / batch
        return result

    with jax.enable_x64(True):
        source = Source(search.sampler, search.varied)
        members = as_members(ensemble.members, search.campaign.emulators.precision, batch)
        drawn = part("draw", lambda index: source(index, None), jnp.arange(batch, dtype=jnp.uint64))
        said = part("networks", members.call, members.weights, drawn.normalised)
        together = part("combine", lambda p, q: combine(p, q, ensemble.distance, ensemble.combine), *said)
        labels = part("label", search.objective, *together[:2])
        planes = Planes(len(search.campaign.screen_classes), len(search.varied), search.campaign.screen.bins)
        part("planes", planes.count, labels.astype(jnp.int32), drawn.position)
    return found


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median time of some calls, after one that compiles; of JAX's arrays, until they are there."""
    import jax

    jax.block_until_ready(work())
    return float(np.median([timed(lambda: jax.block_until_ready(work())) for _ in range(repeats)]))


def main() -> None:
    """Run the pieces that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pieces", nargs="+", choices=[*PIECES, "all"])
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--count", type=int, default=100_000_000, help="parameter sets of `large`")
    parser.add_argument("--minutes", type=float, default=8.0, help="for `members`, in this call")
    parser.add_argument("--small", action="store_true", help="sizes for a processor, to see that all runs")
    options = parser.parse_args()
    if options.small:
        options.simulations, options.count = min(options.simulations, 640), min(options.count, 50_000)
    bench = Bench(options.folder, options)
    for piece in PIECES if "all" in options.pieces else options.pieces:
        getattr(bench, piece)()


if __name__ == "__main__":
    main()
