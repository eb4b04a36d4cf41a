"""Fidelity, convergence, robustness and conditioning of the pattern model: the numbers and figures of its docs.

    python benchmarks/pattern_study.py                  # every study, then the figures and the table
    python benchmarks/pattern_study.py robustness       # one study

Each study keeps what it has in results/pattern-study/ and continues there, so it can be stopped at any time. Most of
the time goes into the published procedure (`published`). What came out is in docs/measured/pattern-model.md.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.models import pattern_kernel
from mechscreen.models.base import Simulations
from mechscreen.models.outputs import Status
from mechscreen.models.pattern import LENGTH, OUTPUT_POINTS, REFERENCE_POINTS, PatternModel, groups
from mechscreen.models.pattern_reference import MACRO_STEP
from mechscreen.models.pattern_reference import simulate as simulate_published
from mechscreen.objectives import Rings
from mechscreen.sampling import sample_unit

RESULTS = Path("results/pattern-study")
IMAGES = Path("docs/images")
TABLE = Path(__file__).parents[2] / "shared" / "data" / "reference_simulations.csv"
SPACE = PatternModel.space
RMSE_UNIT = "RMSE of the normalised profile"

RANDOM = 20_000
CONVERGENCE = 1000
GRIDS = (501, 1001, 2001)
FINEST_GRID = 4001
GRID_SAMPLES = 100
CONDITIONING = 1000
PUBLISHED = 400
REPRODUCED = 150
SMALL, TINY = 5e-6, 1e-12  # relative changes of parameters
ROUNDED = 24

VARIANTS: dict[str, dict[str, Any]] = {
    "published": {},
    "sub-grid front": {"front": "subgrid"},
    "exact binding": {"binding": "exact"},
    "both": {"front": "subgrid", "binding": "exact"},
}
"""The model as published and with what makes it better conditioned."""

Array = NDArray[np.float64]
T = TypeVar("T")


def random_sets(count: int, stream: str) -> Array:
    """Uniform parameter sets of the whole box, (count, 13), physical units; the domain radius continuous."""
    return SPACE.physical(sample_unit("uniform", 2019, 0, count, len(SPACE), stream))


def rmse(a: Array, b: Array) -> Array:
    """Root mean square difference of normalised profiles, (n,)."""
    return np.sqrt(np.mean((a - b) ** 2, axis=-1))


def on_all_cores(function: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
    """Map `function` over `arguments` in as many processes as there are cores."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, *arguments))


def pieces_of(parameters: Array) -> list[Array]:
    """Small pieces of neighbours, so that the cores finish together."""
    PatternModel().simulate(parameters[:1])  # fills Numba's cache
    return np.array_split(parameters, max(1, len(parameters) // 50))


def simulate(parameters: Array, options: dict[str, Any]) -> Simulations:
    """Simulate on all cores."""
    results = on_all_cores(partial(_simulate_piece, options), pieces_of(parameters))
    return Simulations(
        np.concatenate([r.profiles for r in results]),
        np.concatenate([r.log_peaks for r in results]),
        np.concatenate([r.status for r in results]),
        tuple(itertools.chain.from_iterable(r.reasons for r in results)),
    )


def _simulate_piece(options: dict[str, Any], parameters: Array) -> Simulations:
    return PatternModel(**options).simulate(parameters)


def profiles(parameters: Array, **options: Any) -> Array:
    """Normalised profiles, (n, 501)."""
    return simulate(parameters, options).profiles[:, 0]


# --- Studies --------------------------------------------------------------------------------------------------------


def robustness() -> dict[str, Any]:
    """Status of random sets, of all corners, and of each bound and pair of bounds with the rest at the centre."""
    low, high = SPACE.low, SPACE.high
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    centre, edges = (low + high) / 2, []
    for names in [*((j,) for j in range(len(SPACE))), *itertools.combinations(range(len(SPACE)), 2)]:
        for bounds in itertools.product((low, high), repeat=len(names)):
            edges.append(centre.copy())
            for j, bound in zip(names, bounds, strict=True):
                edges[-1][j] = bound[j]
    found: dict[str, Any] = {}
    for name, rows in (("random", random_sets(RANDOM, "robustness")), ("corner", corners), ("edge", np.array(edges))):
        result = simulate(rows, {})
        found[f"{name}_status"] = result.status
        solved = result.profiles[result.status == Status.OK]
        found[f"{name}_least"] = np.array(solved.min())
        found[f"{name}_parameters"] = rows[result.status != Status.OK]
        found[f"{name}_reasons"] = np.array([reason for reason in result.reasons if reason], dtype=str)
    return found


def convergence() -> dict[str, Any]:
    """Profiles against those with tolerance and longest step ten times finer."""
    rows = random_sets(CONVERGENCE, "convergence")
    found: dict[str, Any] = {"tolerance": np.array([1e-3, 1e-4, 1e-5])}
    for name in ("published", "exact binding"):
        fine = np.concatenate(on_all_cores(partial(_solve_finely, name == "exact binding"), pieces_of(rows)))
        found[name] = np.stack([rmse(profiles(rows, tolerance=t, **VARIANTS[name]), fine) for t in found["tolerance"]])
    return found


def _solve_finely(exact: bool, parameters: Array) -> Array:
    """Normalised profiles with a tolerance and a longest step ten times finer than the model's."""
    solved = pattern_kernel.solve(
        groups(parameters),
        output_points=OUTPUT_POINTS,
        points=REFERENCE_POINTS,
        length=LENGTH,
        end_time=150.0,
        subgrid=False,
        exact=exact,
        tolerance=1e-6,
        longest_step=pattern_kernel.LONGEST_STEP / 10,
    )
    return normalised(solved.profiles)


def grid() -> dict[str, Any]:
    """Profiles against those on the finest grid."""
    rows = random_sets(GRID_SAMPLES, "grid")
    found: dict[str, Any] = {"points": np.array(GRIDS)}
    for name, options in VARIANTS.items():
        finest = profiles(rows, points=FINEST_GRID, **options)
        found[name] = np.stack([rmse(profiles(rows, points=n, **options), finest) for n in GRIDS])
    return found


def conditioning() -> dict[str, Any]:
    """How far profiles move when all parameters change a little, and when the tolerance is ten times finer."""
    rows = random_sets(CONDITIONING, "conditioning")
    near, as_published = nudged(rows, SMALL), profiles(rows)
    found: dict[str, Any] = {}
    for name, options in VARIANTS.items():
        here = profiles(rows, **options)
        found[name] = rmse(here, profiles(near, **options))
        found[f"{name}, tolerance"] = rmse(here, profiles(rows, tolerance=1e-6, **options))
        found[f"{name}, from published"] = rmse(here, as_published)
    return found


def published() -> dict[str, Any]:
    """The published procedure in complex arithmetic on random parameter sets; some seconds each."""
    return publish(random_sets(PUBLISHED, "published"), "published")


def reproducibility() -> dict[str, Any]:
    """How far the published procedure's own profiles move when all parameters change a little."""
    rows, before = random_sets(PUBLISHED, "published"), normalised(load("published")["profiles"])
    found: dict[str, Any] = {}
    for change, count in ((SMALL, REPRODUCED), (TINY, PUBLISHED)):
        moved = publish(nudged(rows[:count], change), f"nudged-{change:g}")["profiles"]
        found[f"{change:g}"] = rmse(normalised(moved), before[:count])
    return found


def exact() -> dict[str, Any]:
    """The published procedure without the rounding error of its projection, at parameters and beside them."""
    rows = random_sets(PUBLISHED, "published")[:REPRODUCED]
    near = publish(nudged(rows, SMALL), f"exact-nudged-{SMALL:g}", binding="exact")
    return {**publish(rows, "exact", binding="exact"), "nudged": near["profiles"]}


def table() -> dict[str, Any]:
    """The published procedure on the rows of the published table, where that is at hand."""
    if not TABLE.is_file():
        return {"profiles": np.zeros((0, OUTPUT_POINTS)), "went_complex": np.zeros(0, dtype=bool)}
    return publish(SPACE.denormalise(np.loadtxt(TABLE, delimiter=",")[:, :13]), "table")


def rounding() -> dict[str, Any]:
    """The published procedure on parameters that round to those of the table's rows that went complex."""
    if not TABLE.is_file():
        return {"row": np.zeros(0, dtype=int), "profiles": np.zeros((0, OUTPUT_POINTS))}
    row = np.repeat(np.flatnonzero(load("table")["went_complex"]), ROUNDED)
    given = np.loadtxt(TABLE, delimiter=",")[row, :13]
    last_digit = 10.0 ** (np.floor(np.log10(np.maximum(given, 1e-10))) - 4)
    off = (np.random.default_rng(0).random(given.shape) - 0.5) * last_digit
    off[:, SPACE.names.index("domainR")] = 0.0  # takes six values
    return {"row": row, **publish(SPACE.denormalise(given + off), "rounding")}


def splitting() -> dict[str, Any]:
    """The published procedure with half its macro-step."""
    return publish(random_sets(PUBLISHED, "published")[:REPRODUCED], "splitting", macro_step=MACRO_STEP / 2)


def nudged(rows: Array, change: float) -> Array:
    """Parameter sets with every parameter changed by a relative ±`change`, at random."""
    return rows * (1 + change * np.random.default_rng(1).choice([-1.0, 1.0], rows.shape))


def publish(rows: Array, name: str, **options: Any) -> dict[str, Any]:
    """Raw profiles and whether they went complex, by the published procedure; each is kept in a file."""
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    results = np.array(on_all_cores(partial(_publish, folder, options), range(len(rows)), rows))
    return {"profiles": results[:, :OUTPUT_POINTS], "went_complex": results[:, OUTPUT_POINTS] > 0}


def _publish(folder: Path, options: dict[str, Any], number: int, row: Array) -> Array:
    file = folder / f"{number}.npy"
    if not file.exists():
        result = simulate_published(row, arithmetic="complex", **options)
        unfinished = file.with_suffix(".partial")
        with unfinished.open("wb") as stream:
            np.save(stream, np.append(result.profile, result.went_complex))
        unfinished.rename(file)
    return np.load(file)


def normalised(raw: Array) -> Array:
    """Profiles divided by their maximum."""
    return raw / raw.max(axis=1, keepdims=True)


STUDIES: dict[str, Callable[[], dict[str, Any]]] = {
    study.__name__: study
    for study in (
        robustness,
        convergence,
        grid,
        conditioning,
        published,
        table,
        rounding,
        reproducibility,
        splitting,
        exact,
    )
}


def load(name: str) -> dict[str, Any]:
    """Run a study, unless its results are there, and return them."""
    path = RESULTS / f"{name}.npz"
    if not path.exists():
        print(f"{name}: running", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        found = STUDIES[name]()
        np.savez(path, **found)
        print(f"{name}: took {time.perf_counter() - start:.0f} s", flush=True)
    with np.load(path) as file:
        return dict(file)


def main(names: list[str]) -> None:
    """Run studies and print what docs/measured/pattern-model.md says of them."""
    unknown = set(names) - STUDIES.keys()
    if unknown:
        sys.exit(f"no study {', '.join(sorted(unknown))} (valid: {', '.join(STUDIES)})")
    for name in names or STUDIES:
        tell = globals()[f"tell_{name}"]
        tell(load(name))


# --- What they say --------------------------------------------------------------------------------------------------


def quantiles(values: Array) -> str:
    """Median and upper quantiles in one line."""
    parts = [
        f"{label} {np.nanquantile(values, q):.1e}" for label, q in (("median", 0.5), ("75 %", 0.75), ("97 %", 0.97))
    ]
    return ", ".join([*parts, f"most {np.nanmax(values):.1e}"])


def tell_robustness(found: dict[str, Any]) -> None:
    """Counts of status."""
    for name in ("random", "corner", "edge"):
        status = found[f"{name}_status"]
        counts = {code.name: int((status == code).sum()) for code in Status if (status == code).any()}
        print(f"robustness, {name}: {len(status)} sets, {counts}; least value {found[f'{name}_least']:.3g}")
        for reason, count in zip(*np.unique(found[f"{name}_reasons"], return_counts=True), strict=True):
            print(f"    {count} × {reason}")


def tell_convergence(found: dict[str, Any]) -> None:
    """Errors by tolerance."""
    for name in ("published", "exact binding"):
        for tolerance, error in zip(found["tolerance"], found[name], strict=True):
            print(f"convergence, {name}, tolerance {tolerance:g}: {RMSE_UNIT}: {quantiles(error)}")


def tell_grid(found: dict[str, Any]) -> None:
    """Errors by number of points, and the figure."""
    for name in VARIANTS:
        for points, error in zip(found["points"], found[name], strict=True):
            print(f"grid, {name}, {points} points: {RMSE_UNIT}: {quantiles(error)}")
    _save(draw_grid(found), "pattern-grid", "Error over grid spacing")


LOOKS = dict(
    zip(VARIANTS, ((style.BLUE, "o"), (style.VERMILION, "s"), (style.GREEN, "^"), ("black", "D")), strict=True)
)


@style.styled
def draw_grid(found: dict[str, Any]) -> Figure:
    """Error over grid spacing: median and 90 %."""
    figure = Figure(figsize=(style.WIDTH, 3.4))
    spacing = LENGTH / (found["points"] - 1)
    for axes, title, share in zip(figure.subplots(1, 2, sharey=True), ("median", "90 %"), (0.5, 0.9), strict=True):
        for name, (colour, marker) in LOOKS.items():
            axes.plot(spacing, np.quantile(found[name], share, axis=1), color=colour, marker=marker, label=name)
        axes.plot(spacing, 0.5 * spacing**2, color="grey", lw=0.8, label="second order")
        axes.set(xscale="log", yscale="log", xlabel="grid spacing (dimensionless)", title=title)
        axes.set_xticks(spacing, [f"{s:.2g}" for s in spacing])
        axes.minorticks_off()
    figure.axes[0].set_ylabel(f"{RMSE_UNIT}\nto {FINEST_GRID} points")
    figure.axes[1].legend(loc="lower right")
    return figure


def tell_conditioning(found: dict[str, Any]) -> None:
    """Shares of ill-conditioned sets, and the figure."""
    for name in VARIANTS:
        values, finer = found[name], found[f"{name}, tolerance"]
        print(
            f"conditioning, {name}: {quantiles(values)}; above 1e-3: {np.mean(values > 1e-3):.1%}, above 1e-2: "
            f"{np.mean(values > 1e-2):.2%}"
        )
        known = np.corrcoef(np.log(values + 1e-9), np.log(finer + 1e-9))[0, 1]
        print(f"    moved by a finer tolerance: {quantiles(finer)}; correlation of the logarithms {known:.2f}")
        print(f"    distance from the model as published: {quantiles(found[f'{name}, from published'])}")
    _save(draw_conditioning(found), "pattern-conditioning", "Share of parameter sets above a sensitivity")


@style.styled
def draw_conditioning(found: dict[str, Any]) -> Figure:
    """Share of parameter sets above a sensitivity."""
    figure, axes = _figure(3.4)
    lines = ("-", "--", "-.", ":")
    for (name, (colour, _)), line in zip(LOOKS.items(), lines, strict=True):
        values = np.sort(found[name])
        axes.plot(values, 1 - np.arange(len(values)) / len(values), color=colour, ls=line, label=name)
    axes.set(
        xscale="log", yscale="log", xlim=(1e-8, 1), ylim=(5e-4, 1.2),
        xlabel="change of the profile (RMSE)",
        ylabel="share of parameter sets above it",
    )  # fmt: skip
    axes.legend()
    return figure


def tell_published(found: dict[str, Any]) -> None:
    """Agreement with the published procedure on unseen parameter sets."""
    rows = random_sets(PUBLISHED, "published")
    print(f"published, unseen: {found['went_complex'].sum()} of {len(rows)} sets went complex")
    _tell_agreement("published, unseen", rows, found, found["profiles"])
    fine = np.concatenate(on_all_cores(partial(_solve_finely, False), pieces_of(rows)))
    error = rmse(fine, normalised(found["profiles"]))[~found["went_complex"]]
    print(f"published, unseen, real, ten times finer steps: {quantiles(error)}; above 1e-2: {(error > 1e-2).sum()}")


def tell_table(found: dict[str, Any]) -> None:
    """Agreement with the published table, of the solver and of the published procedure."""
    if not len(found["profiles"]):
        print(f"table: not at hand ({TABLE})")
        return
    rows = np.loadtxt(TABLE, delimiter=",")
    shown, log_peaks = rows[:, 13:514], rows[:, 514]
    print(f"table: {found['went_complex'].sum()} of {len(rows)} rows went complex")
    _tell_agreement("table", SPACE.denormalise(rows[:, :13]), found, shown * np.exp(log_peaks)[:, None])
    own = rmse(normalised(found["profiles"]), shown)
    for name, chosen in (("real", ~found["went_complex"]), ("complex", found["went_complex"])):
        if chosen.any():
            print(f"table, by the published procedure, {name}: {quantiles(own[chosen])}; above 1e-2: "
                  f"{(own[chosen] > 1e-2).sum()} of {chosen.sum()}")  # fmt: skip


def tell_rounding(found: dict[str, Any]) -> None:
    """How far the table's rounding lets its complex rows be met."""
    for row in np.unique(found["row"]):
        error = rmse(normalised(found["profiles"][found["row"] == row]), np.loadtxt(TABLE, delimiter=",")[row, 13:514])
        print(f"table, row {row}, parameters that round to it, by the published procedure: {len(error)} sets, "
              f"least {error.min():.1e}, {quantiles(error)}")  # fmt: skip


def _tell_agreement(name: str, rows: Array, found: dict[str, Any], raw: Array, **options: Any) -> None:
    """Print how well the solver agrees with raw profiles of the same parameter sets."""
    result = simulate(rows, options)
    ours, theirs, peaks = result.profiles[:, 0], normalised(raw), np.log(raw.max(axis=1))
    finite = np.isfinite(theirs).all(axis=1)
    if not finite.all():
        print(f"{name}: {(~finite).sum()} profiles are not finite, and left out")
    error, rings, nothing = rmse(ours, theirs), Rings(), np.zeros((len(rows), 1))
    differ = rings(ours[:, None], nothing) != rings(theirs[:, None], nothing)
    for kind, chosen in (("real", finite & ~found["went_complex"]), ("complex", finite & found["went_complex"])):
        if chosen.any():
            print(
                f"{name}, {kind}: {quantiles(error[chosen])}; above 1e-2: {(error[chosen] > 1e-2).sum()} of "
                f"{chosen.sum()}; |Δ ln peak| median {np.median(np.abs(result.log_peaks[:, 0] - peaks)[chosen]):.1e}; "
                f"ring class differs for {differ[chosen].sum()}"
            )


def tell_reproducibility(found: dict[str, Any]) -> None:
    """How far the published procedure's profiles move."""
    went_complex = load("published")["went_complex"]
    for change, distance in found.items():
        real = distance[~went_complex[: len(distance)]]
        print(
            f"published procedure, parameters changed by {change}, {len(real)} real sets: {quantiles(real)}; above "
            f"1e-3: {np.mean(real > 1e-3):.1%}, above 1e-2: {np.sum(real > 1e-2)}"
        )


def tell_splitting(found: dict[str, Any]) -> None:
    """How far the published procedure's profiles depend on its macro-step, and the solver from them."""
    rows, before = random_sets(PUBLISHED, "published")[:REPRODUCED], load("published")
    real = ~(before["went_complex"][:REPRODUCED] | found["went_complex"])
    own = rmse(normalised(found["profiles"]), normalised(before["profiles"][:REPRODUCED]))[real]
    print(f"published procedure, half the macro-step, {len(own)} real sets: {quantiles(own)}; above 1e-2: "
          f"{(own > 1e-2).sum()}")  # fmt: skip
    _tell_agreement(
        "published, its macro-step", rows, before | {"went_complex": ~real}, before["profiles"][:REPRODUCED]
    )
    _tell_agreement("published, half its macro-step", rows, found | {"went_complex": ~real}, found["profiles"])


def tell_exact(found: dict[str, Any]) -> None:
    """What the published procedure's rounding error does."""
    rows = random_sets(PUBLISHED, "published")[:REPRODUCED]
    own = normalised(found["profiles"])
    real = ~found["went_complex"]
    print(f"exact binding: {found['went_complex'].sum()} of {len(rows)} sets went complex")
    _tell_agreement("exact binding, unseen", rows, found, found["profiles"], binding="exact")
    moved = rmse(normalised(found["nudged"]), own)[real]
    print(f"exact binding, the procedure, parameters changed by {SMALL:g}: {quantiles(moved)}; above 1e-3: "
          f"{np.mean(moved > 1e-3):.1%}")  # fmt: skip
    distance = rmse(own, normalised(load("published")["profiles"][:REPRODUCED]))[real]
    print(f"exact binding, the procedure, from the published one: {quantiles(distance)}; above 0.02: "
          f"{np.mean(distance > 0.02):.1%}")  # fmt: skip


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(0.65 * style.WIDTH, height))
    return figure, figure.add_subplot()


def _save(figure: Figure, name: str, title: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(style.to_png(figure, {"Title": title}))


if __name__ == "__main__":
    main(sys.argv[1:])
