"""The MYC/E2F model measured: the numbers and figures of docs/measured/myc-e2f-model.md.

    python benchmarks/myc_e2f.py                                        # all but emulator and hits
    python benchmarks/myc_e2f.py speed densities                        # some of it
    python benchmarks/myc_e2f.py emulator --config config/myc_e2f.yaml  # a trained campaign: snakemake emulators
    python benchmarks/myc_e2f.py hits --config config/myc_e2f.yaml      # one that was validated: snakemake validation

One core. Times are of the process, not of the clock, so that other programs disturb them little.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib.figure import Figure
from numba import njit
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.stats import gaussian_kde

from mechscreen.campaign import Campaign
from mechscreen.emulators.metrics import confusion, r_squared
from mechscreen.figures import pairs, style
from mechscreen.models import myc_e2f_kernel, myc_e2f_reference
from mechscreen.models.base import Simulations
from mechscreen.models.densities import kernel_density, resolved_bandwidth
from mechscreen.models.myc_e2f import MycE2FModel, tapered
from mechscreen.models.myc_e2f_parameters import PARAMETERS, VARIABLES, molecular
from mechscreen.reports.results import Results
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.stages.predict import load_ensemble

IMAGES = Path("docs/images")
MODEL = MycE2FModel()
GRIDS = [output.grid for output in MODEL.outputs]
NAMES = tuple(VARIABLES)
ALL_RB = [NAMES.index(name) for name in ("RB", "RP", "RE")]
NOISE = {"intrinsic": MODEL.intrinsic, "extrinsic": MODEL.extrinsic}
NO_NOISE = {"intrinsic": 0.0, "extrinsic": 0.0}
LONG_ENOUGH = 200
"""Steps of the NumPy reference that are timed."""

Array = NDArray[Any]


def random_sets(count: int, stream: str) -> Array:
    """Uniform parameter sets of the 24 core parameters, (count, 43), physical units."""
    return MODEL.space.physical(sample_unit("uniform", 2019, 0, count, len(MODEL.space), stream))


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """Median processor time of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def distances(a: Array, b: Array) -> Array:
    """RMSE of profiles (n, outputs, points), (n, outputs)."""
    return np.sqrt(np.mean((a - b) ** 2, axis=-1))


def quantiles(values: Array) -> str:
    """Median and what 75, 97 and 100 % are below."""
    return "median {:.1e}, 75 % {:.1e}, 97 % {:.1e}, largest {:.1e}".format(*np.quantile(values, (0.5, 0.75, 0.97, 1)))


# --- Speed ----------------------------------------------------------------------------------------------------------


@njit("float32(int64, int64, uint32)")
def _only_draw(groups, steps, key):  # type: ignore[no-untyped-def]
    """Draw all normal numbers of a simulation and do nothing with them."""
    words = np.empty(4 * myc_e2f_kernel.BLOCKS * myc_e2f_kernel.LANES, np.uint32)
    normals = np.empty(myc_e2f_kernel.NORMALS * myc_e2f_kernel.LANES, np.float32)
    total = np.float32(0)
    for group in range(groups):
        for step in range(steps):
            myc_e2f_kernel._draw(normals, words, group * myc_e2f_kernel.LANES, step, key, key)
            total += normals[0]
    return total


def speed() -> None:
    """Time of one parameter set, beside the drawing of its random numbers and beside NumPy."""
    row, count = MycE2FModel(vary=[]).space.low, MODEL.trajectories
    steps = sum(n for n, _ in MODEL.phases)
    MODEL.concentrations(row, 0)
    ours = seconds(lambda: MODEL.concentrations(row, 1))
    print(f"speed: {count:,} trajectories of {steps:,} steps: {ours:.2f} s")
    published = MycE2FModel(scheme="reference")
    published.concentrations(row, 0)
    print(f"speed: with the published step: {seconds(lambda: published.concentrations(row, 1)):.2f} s")
    groups = -(-count // myc_e2f_kernel.LANES)
    drawing = seconds(lambda: _only_draw(groups, steps, np.uint32(1)))
    print(f"speed: of these, {myc_e2f_kernel.NORMALS} normal numbers a step: {drawing:.2f} s; all is "
          f"{ours / drawing:.1f} times that")  # fmt: skip
    rng = np.random.default_rng(0)
    fill = seconds(lambda: rng.standard_normal(25 * count, np.float32)) * steps
    print(f"speed: 25 normal numbers a step by NumPy, float32: {fill:.1f} s, {fill / ours:.1f} times as long as all")

    def by_numpy() -> None:
        myc_e2f_reference.simulate(row, count, [(LONG_ENOUGH, 0.01)], implicit=True, **NOISE)

    theirs = seconds(by_numpy, 1) * steps / LONG_ENOUGH
    print(f"speed: NumPy reference, by {LONG_ENOUGH} steps of it: {theirs:.0f} s, {theirs / ours:.0f} times as long")


# --- Densities ------------------------------------------------------------------------------------------------------


def densities() -> None:
    """Time and accuracy of the kernel densities, beside SciPy's."""
    error, ours, theirs = [], [], []
    for row in random_sets(10, "densities"):
        ends = MODEL.concentrations(row, 1)
        start = time.process_time()
        found = _estimate(ends)
        ours.append(time.process_time() - start)
        start = time.process_time()
        for x, grid, density in zip(ends, GRIDS, found, strict=True):
            expected = gaussian_kde(x, resolved_bandwidth(x, grid) / x.std(ddof=1))(grid)
            error.append(np.abs(density - expected).max() / expected.max())
        theirs.append(time.process_time() - start)
    widened = np.zeros(len(NAMES), int)
    for row in random_sets(200, "widened"):
        ends = MycE2FModel(trajectories=1000).concentrations(row, 1)
        own = [gaussian_kde(x, "silverman").factor * x.std(ddof=1) for x in ends]
        widened += [resolved_bandwidth(x, grid) > 1.001 * h for x, grid, h in zip(ends, GRIDS, own, strict=True)]
    print(f"densities: kernels widened to the grid's spacing, 1000 trajectories: {widened.sum()} of 2000; of 200 each: "
          f"{dict(zip(NAMES, widened.tolist(), strict=True))}")  # fmt: skip
    print(f"densities: ten of {MODEL.trajectories:,} values: {1e3 * np.median(ours):.0f} ms; by SciPy "
          f"{np.median(theirs):.1f} s; largest difference {max(error):.1e} of the peak")  # fmt: skip


def representation() -> None:
    """What is lost from a density to its place, spread and shape, and back."""
    # The library of networks takes seconds to import.
    from mechscreen.emulators.aligned import alignment
    from mechscreen.emulators.networks import build_network
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.settings import AlignedSettings
    from mechscreen.models.distances import Distance

    settings = AlignedSettings()
    found = MycE2FModel(trajectories=1000).simulate(random_sets(300, "representation"))
    ok = found.status == 0
    samples = Samples(np.zeros((ok.sum(), 1)), found.profiles[ok], found.log_peaks[ok], Distance.of(MODEL.outputs))
    layer = alignment(build_network(settings, samples))
    assert layer is not None
    curves = layer.represent(samples)["curves"]
    again = np.asarray(layer([curves[..., :2], curves[..., 2 : 2 + settings.nodes]])[0])
    error = distances(again, samples.profiles)
    print(f"representation: {ok.sum()} sets of 1000, {settings.nodes} nodes: RMSE {error.mean():.4f}, from "
          f"{error.mean(axis=0).min():.4f} to {error.mean(axis=0).max():.4f} by variable")  # fmt: skip


def convergence() -> None:
    """Error of a density over the number of trajectories: Fig. S8b."""
    counts, most, rows = (100, 300, 1000, 3000, 10_000, 30_000), 100_000, random_sets(12, "convergence")
    model = MycE2FModel(trajectories=most)
    found = np.empty((len(rows), len(counts), len(NAMES), len(GRIDS[0])))
    truth = np.empty((len(rows), len(NAMES), len(GRIDS[0])))
    for i, row in enumerate(rows):
        truth[i] = _estimate(model.concentrations(row, 1))
        ends = model.concentrations(row, 2)
        found[i] = [_estimate(ends[:, :count]) for count in counts]
    peaks = truth.max(axis=2)
    error = distances(found / found.max(axis=3, keepdims=True), (truth / peaks[:, :, None])[:, None])
    peak_error = np.abs(np.log(found.max(axis=3) / peaks[:, None]))
    for k, count in enumerate(counts):
        print(f"convergence: {count:,} trajectories: RMSE of the shape, mean {error[:, k].mean():.1e}; |Δ ln peak|, "
              f"mean {peak_error[:, k].mean():.1e}")  # fmt: skip
    slope = np.polyfit(np.log(counts[2:]), np.log(error[:, 2:].mean(axis=(0, 2))), 1)[0]
    print(f"convergence: exponent from {counts[2]:,} on: {slope:.2f}")
    shown = [k for k, count in enumerate(counts) if count in (100, 1000, 10_000)]
    broadest = int(np.argmax((truth[:, 2] > 0.02 * peaks[:, 2, None]).sum(axis=1)))
    _save(
        _draw_convergence(counts, error.mean(axis=0), [counts[k] for k in shown], found[broadest, shown, 2],
                          truth[broadest, 2], most),
        "myc-e2f-convergence",
        "Density of E2F over the number of trajectories",
    )  # fmt: skip


def _estimate(ends: Array) -> Array:
    return np.array(
        [kernel_density(x, grid, resolved_bandwidth(x, grid)) for x, grid in zip(ends, GRIDS, strict=True)]
    )  # fmt: skip


@style.styled
def _draw_convergence(
    counts: tuple[int, ...], error: Array, shown: list[int], found: Array, truth: Array, most: int
) -> Figure:
    figure = Figure(figsize=(style.WIDTH, 2.9))
    left, right = figure.subplots(1, 2)
    left.plot(GRIDS[2], truth, color="black", lw=1.8, label=f"{most:,}, another seed")
    for count, density, colour, dash in zip(shown, found, style.CYCLE, ("-", (0, (4, 1.5)), (0, (1, 1))), strict=False):
        left.plot(GRIDS[2], density, color=colour, lw=1.2, ls=dash, label=f"{count:,}")
    first, last = style.shown_points(MODEL.outputs[2], truth / truth.max())
    left.set(xlim=(GRIDS[2][first], 1.7 * GRIDS[2][last]), xlabel="E2F protein [µM]", ylabel="density [1/µM]")
    left.set_ylim(bottom=0)
    left.legend(title="trajectories", loc="upper right")
    right.plot(counts, error[:, 0], color="0.6", lw=0.8, label="one variable")
    right.plot(counts, error[:, 1:], color="0.6", lw=0.8)
    right.plot(counts, error.mean(axis=1), color=style.BLUE, marker="o", ms=4, label="mean of the ten")
    right.plot(counts, error.mean() * (np.array(counts) / 1e3) ** -0.4, **style.LIMIT, label="power −2/5")
    right.set(xscale="log", yscale="log", xlabel="trajectories", ylabel="RMSE of the shape")
    right.legend()
    return figure


# --- Accuracy of the simulator --------------------------------------------------------------------------------------


def steps() -> None:
    """Error of the step: without noise against SciPy, and of the densities."""
    rows = random_sets(100, "ode")
    exact = np.array([_by_scipy(row) for row in rows])
    for step in (0.02, 0.01, 0.005):
        phases = tapered(round(50 / step), step)
        found = [myc_e2f_kernel.simulate(row, 0, 1, phases, implicit=True, **NO_NOISE)[:, 0] for row in rows]
        error = np.abs(np.array(found) / exact - 1).max(axis=1)
        print(f"steps: without noise, step {step}: relative error of the worst variable {quantiles(error)}; within "
              f"1e-3: {np.mean(error <= 1e-3):.0%}")  # fmt: skip
    for order, precision in itertools.product((1, 2, 3), ("float64", "float32")):
        error = np.abs(_extrapolated(rows, 0.01, order, np.dtype(precision)) / exact - 1).max(axis=1)
        print(f"steps: without noise, step 0.01 extrapolated to order {order}, {precision}: {quantiles(error)}; within "
              f"1e-3: {np.mean(error <= 1e-3):.0%}")  # fmt: skip
    rows, seeds = random_sets(12, "steps"), np.arange(12)
    fine = MycE2FModel(step=0.002).simulate(rows, seeds=seeds)
    for step in (0.05, 0.02, 0.01, 0.005):
        found = MycE2FModel(step=step).simulate(rows, seeds=seeds + 100)
        print(f"steps: densities, step {step} against 0.002: RMSE {_against(found, fine)}")
    again = MycE2FModel(step=0.002).simulate(rows, seeds=seeds + 200)
    print(f"steps: densities, two seeds at 0.002: RMSE {_against(again, fine)}")
    means = {step: _means(rows, step) for step in (0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)}
    print("steps: mean with noise over that at step 0.0001, 12 sets: median (least to largest)")
    print(f"| step | {' | '.join(NAMES)} |")
    print("|---" * (1 + len(NAMES)) + "|")
    for step, mean in list(means.items())[:-1]:
        ratio = mean / means[0.0001]
        cells = [f"{np.median(r):.2f} ({r.min():.2f} to {r.max():.2f})" for r in ratio.T]
        print(f"| {step} | {' | '.join(cells)} |")


def _extrapolated(rows: Array, step: float, order: int, precision: np.dtype[Any]) -> Array:
    """Final values without noise, (sets, 10), each step extrapolated (Richardson) from 1, … `order` parts of it."""
    p = SimpleNamespace(**dict(zip(PARAMETERS, molecular(rows).T.astype(precision), strict=True)))
    zero = np.zeros((10, len(rows)), precision)

    def change(x: Array, h: float, parts: int) -> Array:
        y = x
        for _ in range(parts):
            found = myc_e2f_reference.reactions(y, p)
            noise = dict.fromkeys(found, zero[0])
            y = myc_e2f_reference.advance_implicitly(y, p, found, noise, zero, h / parts).astype(precision)
        return y - x

    weights = {1: (1.0,), 2: (-1.0, 2.0), 3: (0.5, -4.0, 4.5)}[order]
    x = zero
    for steps, h in tapered(round(50 / step), step):
        for _ in range(steps):
            changes = (w * change(x, h, parts) for parts, w in enumerate(weights, start=1))
            x = np.maximum(x + sum(changes), 0).astype(precision)
    return x.T


def _means(rows: Array, step: float) -> Array:
    """Mean of each variable over 640 trajectories, (sets, 10)."""
    model = MycE2FModel(step=step, trajectories=640)
    return np.array([model.concentrations(row, k + round(1e6 * step)).mean(axis=1) for k, row in enumerate(rows)])


def _against(found: Simulations, truth: Simulations) -> str:
    error, peaks = distances(found.profiles, truth.profiles), np.abs(found.log_peaks - truth.log_peaks)
    return f"mean {error.mean():.2e}; |Δ ln peak| mean {peaks.mean():.2e}"


def _by_scipy(row: Array) -> Array:
    p = myc_e2f_reference.name_parameters(row)
    solution = solve_ivp(
        lambda t, x: myc_e2f_reference.slopes(x[:, None], p)[:, 0],
        (0, 50),
        np.zeros(10),
        method="LSODA",
        rtol=1e-8,
        atol=1e-7,
    )
    return np.asarray(solution.y[:, -1])


def published() -> None:
    """RB, free and bound, that the published explicit step ends with, beside the implicit one."""
    rows = random_sets(500, "published")
    totals: dict[str, Array] = {}
    for scheme in ("reference", "implicit"):
        model = MycE2FModel(scheme=scheme, trajectories=64)  # type: ignore[arg-type]
        totals[scheme] = np.array(
            [model.concentrations(row, k)[ALL_RB].sum(axis=0).mean() for k, row in enumerate(rows)]
        )
    ratio = totals["reference"] / totals["implicit"]
    most = 50 * rows[:, MODEL.space.names.index("kRB")]
    print(f"published: all RB, published over implicit step, {len(rows)} sets: {quantiles(ratio)}; above 1.1: "
          f"{np.mean(ratio > 1.1):.0%}, above 2: {np.mean(ratio > 2):.0%}")  # fmt: skip
    for scheme, total in totals.items():
        print(f"published: more RB than is made in 50 h, {scheme} step: {np.mean(total > most):.0%}")


# --- Emulator -------------------------------------------------------------------------------------------------------


def emulator(config: str, count: int) -> None:
    """Error of the emulator against the noise of what it emulates; Fig. S9."""
    campaign = Campaign.load(config)
    rows = campaign.space.physical(sample_unit("uniform", 2019, 0, count, len(campaign.space), "held out"))
    said = load_ensemble(campaign.paths.emulators, combine=campaign.emulators.combine).predict(rows)
    options = campaign.model.options
    for trajectories in dict.fromkeys((options.get("trajectories", MODEL.trajectories), MODEL.trajectories)):
        model = MycE2FModel(**options | {"trajectories": trajectories})
        one, two = (model.simulate(rows, seeds=sample_seeds(2019, 0, count, stream)) for stream in ("one", "two"))
        ok = (one.status == 0) & (two.status == 0)
        truth, again, emulated = one.profiles[ok], two.profiles[ok], said.profiles[ok]
        peaks, peaks_again, emulated_peaks = one.log_peaks[ok], two.log_peaks[ok], said.log_peaks[ok]
        error, floor = distances(emulated, truth), distances(again, truth)
        print(f"emulator: {ok.sum()} parameter sets of {trajectories:,} trajectories that it has not seen; floor: a "
              "second simulation")  # fmt: skip
        print(
            "| variable | RMSE | floor | ratio | R² shape | of floor | RMSE ln peak | floor | R² ln peak | of floor |"
        )
        print("|---" * 10 + "|")
        for name, part in [*((name, slice(k, k + 1)) for k, name in enumerate(NAMES)), ("all", slice(0, len(NAMES)))]:
            cells = [
                f"{error[:, part].mean():.4f}",
                f"{floor[:, part].mean():.4f}",
                f"{error[:, part].mean() / floor[:, part].mean():.2f}",
                f"{r_squared(truth[:, part], emulated[:, part]):.4f}",
                f"{r_squared(truth[:, part], again[:, part]):.4f}",
                f"{np.sqrt(np.mean((emulated_peaks - peaks)[:, part] ** 2)):.3f}",
                f"{np.sqrt(np.mean((peaks_again - peaks)[:, part] ** 2)):.3f}",
                f"{r_squared(peaks[:, part], emulated_peaks[:, part]):.4f}",
                f"{r_squared(peaks[:, part], peaks_again[:, part]):.4f}",
            ]
            print(f"| {name} | {' | '.join(cells)} |")
        by_all, objective = error.mean(axis=1), campaign.objective
        print(f"emulator: RMSE of a sample: {quantiles(by_all)}; correlation with the disagreement "
              f"{np.corrcoef(by_all, said.disagreement[ok])[0, 1]:.2f}")  # fmt: skip
        classes = [objective(p, q) for p, q in ((truth, peaks), (again, peaks_again), (emulated, emulated_peaks))]
        names = objective.class_names
        for other, labels in (("second simulation", classes[1]), ("emulator", classes[2])):
            print(f"emulator: {', '.join(names)} by simulation (rows) and by {other}: "
                  f"{confusion(classes[0], labels, len(names)).tolist()}")  # fmt: skip
    r2 = [r_squared(truth[:, [k]], emulated[:, [k]]) for k in range(len(NAMES))]
    _save(_draw_emulated(truth, emulated, error, r2), "myc-e2f-emulator", "Emulated and simulated densities")


@style.styled
def _draw_emulated(truth: Array, emulated: Array, error: Array, r2: list[float]) -> Figure:
    figure = Figure(figsize=(style.WIDTH, 7.6))
    axes = figure.subplots(len(NAMES) // 2, 6)
    for k, output in enumerate(MODEL.outputs):
        panels = axes[k // 2, 3 * (k % 2) : 3 * (k % 2) + 3]
        for ax, i in zip(panels, style.spread(error[:, k], (0.25, 0.5, 0.9)), strict=True):
            style.profiles(ax, output, truth[i, k], emulated[i, k])
            ax.set_title(f"RMSE {error[i, k]:.3f}", fontsize=7)
            ax.tick_params(labelsize=7)
        panels[0].set_ylabel(f"{NAMES[k]}, R² {r2[k]:.3f}", fontsize=8)
        panels[1].set_xlabel(output.axes[0], fontsize=8)
    pairs.legend(figure, pairs.pairs(MODEL.outputs, (truth, 0 * error), (emulated, 0 * error)))
    return figure


def hits(config: str, count: int) -> None:
    """Simulate validated hits of a campaign again, with the paper's number of trajectories."""
    campaign = Campaign.load(config)
    found = Results(campaign).hits
    rows, labels = found["parameters"][:count], found["emulated_labels"][:count]
    model = MycE2FModel(**campaign.model.options | {"trajectories": MODEL.trajectories})
    result = model.simulate(rows, seeds=sample_seeds(2019, 0, len(rows), "hits"))
    ok, names = result.status == 0, campaign.objective.class_names
    simulated = campaign.objective(result.profiles[ok], result.log_peaks[ok])
    print(f"hits: {ok.sum()} hits, {MODEL.trajectories:,} trajectories each: {', '.join(names)}: "
          f"{np.bincount(simulated, minlength=len(names)).tolist()}; of the target "
          f"{np.mean(np.isin(simulated, campaign.targets)):.1%}, of the class that the emulator said "
          f"{np.mean(simulated == labels[ok]):.1%}")  # fmt: skip


def _save(figure: Figure, name: str, title: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(style.to_png(figure, {"Title": title}))


def main() -> None:
    """Run the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    alone: dict[str, Callable[[], None]] = {
        study.__name__: study for study in (speed, densities, representation, convergence, steps, published)
    }
    of_campaign: dict[str, Callable[[str, int], None]] = {study.__name__: study for study in (emulator, hits)}
    parser.add_argument("studies", nargs="*", metavar="study", help=", ".join((*alone, *of_campaign)))
    parser.add_argument("--config", default="config/myc_e2f.yaml", help="campaign of 'emulator' and 'hits'")
    parser.add_argument("--count", type=int, default=200, help="parameter sets of 'emulator' and 'hits'")
    arguments = parser.parse_args()
    for name in arguments.studies:
        if name not in alone and name not in of_campaign:
            parser.error(f"no study '{name}' (valid: {', '.join((*alone, *of_campaign))})")
    for name in arguments.studies or alone:
        if name in alone:
            alone[name]()
        else:
            of_campaign[name](arguments.config, arguments.count)


if __name__ == "__main__":
    main()
