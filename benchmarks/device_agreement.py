"""How far the device backend and OpenVINO agree, in float32 and in bfloat16, on one campaign's trained networks.

    python benchmarks/device_agreement.py results/demo --count 1000000

Both look at the same parameter sets of the screen, each in a process of its own, since a process runs Keras on one
library alone. Labels that differ between the two in float32 are shown with how far apart what they were told of is:
where that is less than 1e-5 in each, the sample lies as near to a threshold of the objective, or of the vote. In
bfloat16, labels that flip are counted for each backend beside its own float32, for all sets and for those that either
calls a hit. OpenVINO computes in bfloat16 on processors that have instructions for it alone; elsewhere it has no flips.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mechscreen.campaign import Campaign

BACKENDS = {"device": "jax", "openvino": "tensorflow"}
NEAR = 1e-5


def label(folder: Path, backend: str, count: int, out: Path) -> None:
    """Write what a backend says of the first sets of a campaign's screen: labels, hits, profiles and scores."""
    from mechscreen.stages.predict import load_campaign_ensemble
    from mechscreen.stages.screen import BATCH
    from mechscreen.stages.search import Search

    found = {}
    for precision in ("float32", "bfloat16"):
        campaign = Campaign.open(folder)
        settings = {"backend": backend, "precision": precision}
        campaign = campaign.model_copy(update={"emulators": campaign.emulators.model_copy(update=settings)})
        search, ensemble = Search(campaign), load_campaign_ensemble(campaign)
        labels, disagreement = np.empty(count, np.int8), np.empty(count, np.float32)
        for start in range(0, count, BATCH):
            part = slice(start, min(start + BATCH, count))
            said = ensemble.predict(campaign.space.normalise(search.sample(part.start, part.stop)[1]))
            labels[part] = search.objective(said.profiles, said.log_peaks)
            disagreement[part] = said.disagreement
        hits = np.isin(labels, search.targets) & (disagreement <= campaign.screen.disagreement_limit)
        found |= {f"labels {precision}": labels, f"hits {precision}": hits}
    np.savez(out, **found)


def said_of(folder: Path, backend: str, rows: Path, out: Path) -> None:
    """Write what a backend says of some sets in float32, each member by itself."""
    from mechscreen.stages.predict import load_campaign_ensemble

    campaign = Campaign.open(folder)
    settings = {"backend": backend, "precision": "float32"}
    campaign = campaign.model_copy(update={"emulators": campaign.emulators.model_copy(update=settings)})
    ensemble = load_campaign_ensemble(campaign)
    members = ensemble.predict_members(campaign.space.normalise(np.load(rows)))
    np.save(out, np.stack([member["profiles"] for member in members]))


def _run(backend: str, *arguments: object) -> None:
    command = [sys.executable, __file__, *map(str, arguments), "--as", backend]
    subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": BACKENDS[backend]})


def main() -> None:
    """Compare, or do the part of one backend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--as", dest="backend", choices=BACKENDS, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.backend and options.rows:
        said_of(options.results, options.backend, options.rows, options.out)
    elif options.backend:
        label(options.results, options.backend, options.count, options.out)
    else:
        compare(options.results, options.count)


def compare(results: Path, count: int) -> None:
    """Print how far the two agree."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {backend: Path(folder, f"{backend}.npz") for backend in BACKENDS}
        for backend, path in paths.items():
            _run(backend, results, "--count", count, "--out", path)
        found = {backend: np.load(path) for backend, path in paths.items()}
        labels = [found[backend]["labels float32"] for backend in BACKENDS]
        differ = np.flatnonzero(labels[0] != labels[1])
        print(f"{count:,} sets; in float32 {len(differ)} labels differ, {1e5 * len(differ) / count:.2f} in 10^5")
        if len(differ):
            _show(results, differ, Path(folder))
        for backend, arrays in found.items():
            flipped = arrays["labels float32"] != arrays["labels bfloat16"]
            either = arrays["hits float32"] | arrays["hits bfloat16"]
            changed = arrays["hits float32"] != arrays["hits bfloat16"]
            print(
                f"{backend}: in bfloat16 {flipped.sum():,} labels flip ({flipped.mean():.2e}); of {either.sum():,} "
                f"sets that either precision calls a hit {changed.sum():,} are none in the other"
            )


def _show(results: Path, differ: np.ndarray, folder: Path) -> None:
    """Print how far apart the two are in what they say of sets whose labels differ."""
    from mechscreen.stages.search import Search

    rows = folder / "rows.npy"
    np.save(rows, Search(Campaign.open(results)).sampler.at(differ.astype(np.uint64)).physical)
    said = []
    for backend in BACKENDS:
        _run(backend, results, "--rows", rows, "--out", folder / f"{backend}.npy")
        said.append(np.load(folder / f"{backend}.npy"))
    apart = np.abs(said[0] - said[1]).max(axis=(0, 2, 3))
    near = np.count_nonzero(apart < NEAR)
    print(f"members differ there by {apart.max():.1e} at most; {near} of them by less than {NEAR:g}")


if __name__ == "__main__":
    main()
