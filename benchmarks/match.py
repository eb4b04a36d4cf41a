"""Measured data as the objective, on PEtab problems: the best sets, and posteriors beside those of pyPESTO.

    pip install pypesto
    python benchmarks/match.py ../shared/data/petab FOLDER --polish-only --multistart
    python benchmarks/match.py ../shared/data/petab FOLDER --problems Boehm Crauste Fiedler --chain 200000

Each problem is made into a campaign by `mechscreen init --petab`, with small networks, and run from end to end; a run
that was stopped goes on where it was. With `--polish-only` nothing is learnt and no posterior sampled: the model
screens a thousand sets, and searches. With `--multistart` pyPESTO searches by the same likelihood, with SciPy's least
squares (`ls_trf`), from where those searches began that began anew.

For the posterior pyPESTO's adaptive Metropolis walks through the same likelihood and the same bounds, from the best
set, with as many simulations as are asked for, on one core. As a reference, 64 chains walk at random with steps of one
covariance, that of our draws, which is not adapted; half of them begin at our draws, half at pyPESTO's.

Prints −2 ln L of the nominal values and of the best set, simulations and time of all searches, and of pyPESTO's; then
the largest difference of quantiles (2.5, 50 and 97.5 %) of parameters that are determined, in shares of the width of
their 95 % interval.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.inference import credible
from mechscreen.models.petab import PetabModel
from mechscreen.objectives.observations import Compared
from mechscreen.ranks import NEVER
from mechscreen.schemas.fits import Polished, Posterior, PosteriorSummary
from mechscreen.stages.likelihood import comparing
from petab_problems import problems

_BURN_IN = 0.3


def main() -> None:
    """Run them and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder_of_problems", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--problems", nargs="+", default=["Boehm", "Elowitz", "Crauste", "Fiedler"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--polish-only", action="store_true", help="search, and sample no posterior")
    parser.add_argument("--multistart", action="store_true", help="with pyPESTO, too")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=NUMBER", help="of the model")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--simulations", type=int, default=1_000_000, help="of the posterior, at most")
    parser.add_argument("--chain", type=int, default=200_000, help="simulations of pyPESTO; 0: none")
    parser.add_argument("--steps", type=int, default=4000, help="of the reference; 0: none")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.absolute()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    heads = [
        "problem",
        "−2 ln L, nominal",
        "best",
        "searches to it",
        "simulations",
        "polish",
    ]
    if arguments.multistart:
        heads += ["pyPESTO: best", "simulations", "time"]
    if not arguments.polish_only:
        heads += ["independent draws", "infer", "pyPESTO", "difference", "from the reference", "of pyPESTO"]
    print(f"| {' | '.join(heads)} |", flush=True)
    known = problems(arguments.folder_of_problems)
    for name in arguments.problems:
        for problem in (problem for problem in known if problem.stem.startswith(name)):
            print(_row(problem, arguments), flush=True)


def _row(problem: Path, arguments: argparse.Namespace) -> str:
    place = arguments.folder / problem.stem
    results = run(problem, place, arguments)
    campaign = Campaign.open(results)
    found = Polished.read(campaign.paths.polished)
    model = PetabModel(str(problem))
    nominal = np.array([[model.problem.parameters[name].nominal for name in model.space.names]])
    _, fit, _ = model.compare(nominal)
    anew = found.deviance[~found.from_search]
    cells = [
        problem.stem,
        f"{-2 * fit.llh[0]:.3f}",
        f"{found.deviance[0]:.3f}",
        f"{(anew < found.deviance[0] + 1).sum()} of {len(anew)}",
        f"{found.looked.sum():,}",
        f"{_seconds(results, 'polish'):.0f} s",
    ]
    if arguments.multistart:
        deviances, looked, seconds = multistart(campaign, found, place / "pypesto-multistart.npz")
        cells += [f"{deviances.min():.3f}", f"{looked.sum():,}", f"{seconds.sum():.0f} s"]
    if arguments.polish_only:
        return f"| {' | '.join(cells)} |"
    known = PosteriorSummary.read(campaign.paths.posterior_summary)
    cells += [f"{known.independent} by {known.simulations:,}", f"{_seconds(results, 'infer'):.0f} s"]
    if arguments.chain:
        chain, seconds = peer(campaign, found, place / f"pypesto-{arguments.chain}.npz", arguments.chain)
        theirs = chain[int(_BURN_IN * len(chain)) :]
        cells += [f"{_independent(chain)} by {arguments.chain:,} in {seconds:.0f} s", _difference(campaign, theirs)]
        if arguments.steps:
            truth = reference(campaign, theirs, place / f"reference-{arguments.steps}.npy", arguments.steps)
            cells += [_difference(campaign, truth), _difference(campaign, truth, theirs)]
    return f"| {' | '.join(cells)} |"


def run(problem: Path, place: Path, arguments: argparse.Namespace) -> Path:
    """Run a problem's campaign in a folder; return the folder of results."""
    programs = Path(sys.executable).parent
    if not place.exists():
        mechscreen = shutil.which("mechscreen") or programs / "mechscreen"
        subprocess.run([mechscreen, "init", place, "--petab", problem], check=True, capture_output=True)
    config = place / "campaign.yaml"
    campaign = yaml.safe_load(config.read_text())
    campaign["seed"] = arguments.seed
    campaign["model"]["options"] |= {name: yaml.safe_load(value) for name, value in _pairs(arguments.options)}
    campaign["simulations"] = {"count": 1000, "shard_size": 500}
    campaign["emulators"]["training"]["epochs"] = 20
    campaign["screen"] |= {"count": 100_000, "block_size": 50_000}
    campaign["polish"] = {"count": arguments.searches}
    campaign["posterior"] = {"draws": 2000, "simulations": arguments.simulations}
    if arguments.polish_only:
        for learnt in ("simulations", "emulators"):
            del campaign[learnt]
        campaign["screen"] |= {"by": "model", "count": 1000, "block_size": 1000}
        campaign["posterior"] = {"draws": 0}
    config.write_text(yaml.safe_dump(campaign, sort_keys=False))
    snakemake = shutil.which("snakemake") or programs / "snakemake"
    command = [snakemake, "--workflow-profile", "cluster_profiles/local", "--configfile", config.name]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, errors="replace")
    (place / "snakemake.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{problem.stem}: see {place / 'snakemake.log'}")
    return place / "results" / str(campaign["name"])


def _pairs(options: list[str]) -> Iterator[tuple[str, str]]:
    for option in options:
        name, _, value = option.partition("=")
        yield name, value


class Squares:
    """A likelihood as residuals and their slopes for pyPESTO, in shares of the ranges.

    −2 ln L = Σ r² + Σ l, and a constant, is the sum of the squares of r and of √(l + 50) (Stapor et al., Bioinformatics
    2018). Slopes are differences to one side.
    """

    def __init__(self, compare: Callable[[NDArray[np.float64]], Compared], physical: Callable[..., Any]) -> None:
        self._compare, self._physical = compare, physical
        self._last: tuple[bytes, NDArray[np.float64]] = (b"", np.empty(0))

    def residuals(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return them of one place; huge ones where there is no likelihood."""
        if x.tobytes() != self._last[0]:
            self._last = x.tobytes(), self._of(x[None])[0]
        return self._last[1]

    def slopes(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return their derivatives, (residuals, d)."""
        steps = np.where(x > 0.5, -1e-4, 1e-4)
        return np.asarray(((self._of(x + np.diag(steps)) - self.residuals(x)) / steps[:, None]).T)

    def _of(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        found = self._compare(self._physical(np.clip(x, 0, 1 - 1e-12)))
        with np.errstate(invalid="ignore"):
            both = np.concatenate([found.residuals, np.sqrt(found.noise + 50)], axis=1)
        return np.where(np.isfinite(both).all(axis=1, keepdims=True), both, 1e3)


def multistart(
    campaign: Campaign, found: Polished, path: Path
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return −2 ln L, simulations and seconds of pyPESTO's search from each start that was drawn or a hit.

    What is done is saved after each of them.
    """
    import pypesto
    from pypesto import optimize

    space = campaign.screen_space
    starts = np.clip(space.shares(found.starts[~found.from_search]), 1e-6, 1 - 1e-6)
    rows: list[tuple[float, float, float]] = []
    if path.exists():
        with np.load(path) as stored:
            rows = [tuple(row) for row in stored["rows"].tolist()]
    d, looked = len(space), 0
    with contextlib.chdir(path.parent), comparing(campaign, NEVER) as compare:
        # Here, since pyPESTO works with copies of what it is given.
        def counted(physical: NDArray[np.float64]) -> Compared:
            nonlocal looked
            looked += len(physical)
            return compare(physical)

        for start in starts[len(rows) :]:
            squares, begun, looked = Squares(counted, space.physical), time.perf_counter(), 0
            objective = pypesto.Objective(res=squares.residuals, sres=squares.slopes)
            problem = pypesto.Problem(objective, lb=np.zeros(d), ub=np.ones(d), x_guesses=start[None])
            result = optimize.minimize(
                problem, optimize.ScipyOptimizer("ls_trf"), n_starts=1, progress_bar=False, filename=None
            )
            best = result.optimize_result[0].x
            seconds = time.perf_counter() - begun
            deviance = np.inf if best is None else float(compare(space.physical(best[None])).deviance[0])
            rows.append((deviance, looked, seconds))
            np.savez(path, rows=np.array(rows))
    deviances, simulations, seconds_of = np.array(rows).T
    return deviances, simulations.astype(np.int64), seconds_of


def peer(campaign: Campaign, found: Polished, path: Path, samples: int) -> tuple[NDArray[np.float64], float]:
    """Return the places of pyPESTO's chain, (samples, d), and the seconds that it took."""
    if path.exists():
        with np.load(path) as stored:
            return stored["chain"], float(stored["seconds"])
    import pypesto
    from pypesto import sample

    # The model is made anew, by what the folder of results says.
    space = campaign.screen_space
    with contextlib.chdir(path.parent), comparing(campaign, NEVER) as compare:

        def negative_log_likelihood(x: NDArray[np.float64]) -> float:
            return float(compare(space.physical(np.clip(x, 0, 1 - 1e-12)[None])).deviance[0]) / 2

        d = len(space)
        problem = pypesto.Problem(pypesto.Objective(fun=negative_log_likelihood), lb=np.zeros(d), ub=np.ones(d))
        start = time.perf_counter()
        np.random.seed(1)  # noqa: NPY002 - what pyPESTO draws from
        sampler: Any = sample.AdaptiveMetropolisSampler({"show_progress": False})
        first = np.clip(space.shares(found.parameters[:1])[0], 1e-6, 1 - 1e-6)
        result = sample.sample(problem, n_samples=samples, sampler=sampler, x0=first)
        seconds = time.perf_counter() - start
    chain = np.asarray(result.sample_result.trace_x[0])
    np.savez_compressed(path, chain=chain, seconds=seconds)
    return chain, seconds


def _independent(chain: NDArray[np.float64]) -> int:
    from emcee import autocorr

    counts = chain[int(_BURN_IN * len(chain)) :]
    return int(len(counts) / np.max(autocorr.integrated_time(counts[:, None, :], tol=0, quiet=True)))


def reference(campaign: Campaign, theirs: NDArray[np.float64], path: Path, steps: int) -> NDArray[np.float64]:
    """Return where 64 chains of random walks with steps of one covariance were, (n, d), the first third left out."""
    if path.exists():
        return np.asarray(np.load(path))
    space, rng = campaign.screen_space, np.random.default_rng(5)
    ours = space.shares(Posterior.read(campaign.paths.posterior).parameters)
    d = ours.shape[1]
    root = np.linalg.cholesky(2.38**2 / d * np.cov(ours.T))
    x = np.concatenate([some[rng.integers(len(some), size=32)] for some in (ours, theirs)])
    places = []
    with contextlib.chdir(path.parent), comparing(campaign, NEVER) as compare:

        def log_likelihood(x: NDArray[np.float64]) -> NDArray[np.float64]:
            found = np.full(len(x), -np.inf)
            inside = ((x >= 0) & (x < 1)).all(axis=1)
            if inside.any():
                found[inside] = -compare(space.physical(x[inside])).deviance / 2
            return found

        logs = log_likelihood(x)
        for _ in range(steps):
            moved = x + rng.standard_normal(x.shape) @ root.T
            there = log_likelihood(moved)
            goes = np.log(rng.random(len(x))) < there - logs
            x, logs = np.where(goes[:, None], moved, x), np.where(goes, there, logs)
            places.append(x)
    found = np.concatenate(places[steps // 3 :])
    np.save(path, found)
    return found


def _difference(campaign: Campaign, truth: NDArray[np.float64], draws: NDArray[np.float64] | None = None) -> str:
    """Return the largest difference of quantiles, of parameters that are determined, and of which it is.

    Of our draws, unless others are given; in shares of the width of the other 95 % interval.
    """
    space = campaign.screen_space
    own = Posterior.read(campaign.paths.posterior).parameters
    known = [about.known for about in credible(list(space), own)]
    levels = (0.025, 0.5, 0.975)
    a, b = (np.quantile(some, levels, axis=0) for some in (space.shares(own) if draws is None else draws, truth))
    off = np.abs(a - b).max(axis=0) / (b[2] - b[0])
    off[[one != "determined" for one in known]] = 0
    worst = int(off.argmax())
    return f"{off[worst]:.1%} ({space.names[worst]}), {known.count('determined')} of {len(known)} determined"


def _seconds(results: Path, verb: str) -> float:
    head, *rows = (results / "benchmarks" / verb / f"{verb}.tsv").read_text().splitlines()
    return float(rows[-1].split("\t")[head.split("\t").index("s")])


if __name__ == "__main__":
    main()
