"""PEtab problems against published simulations and the `petab` library; how many sets of each can be simulated.

    python benchmarks/petab_problems.py ../shared/data/petab
    python benchmarks/petab_problems.py ../shared/data/petab --sets 200

The folder holds problems of https://github.com/Benchmarking-Initiative/Benchmark-Models-PEtab (BSD-3), each in a folder
of its name. Simulations at the nominal values are compared with the published tables, χ² and log-likelihood with what
`petab.v1.calculate` makes of the published tables. With --sets, so many parameter sets are drawn as a campaign draws
them, and what became of each is counted.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mechscreen.errors import InputError
from mechscreen.models.outputs import Status
from mechscreen.models.petab import PetabModel
from mechscreen.spaces import Sampler

SIMULATED_WITH = {"Perelson_Science1996": {"c": 1.86392495, "delta": 0.65789413}}
"""Published simulations that are of other values than the nominal ones; these were fitted to them (to 2e-8)."""
EXCHANGED = {
    "Sneyd_PNAS2002": {"Ca_dose_response__5": "Ca_dose_response__6", "Ca_dose_response__6": "Ca_dose_response__5"}
}
"""Published simulations whose labels of conditions are not those of the condition table."""


@dataclass(frozen=True)
class Agreement:
    """How a problem comes out at its nominal values.

    Attributes
    ----------
    largest
        Largest relative deviation from the published simulations; None where there are none.
    chi2, llh
        Ours, and what `petab` makes of the published simulations; None where there are none.
    """

    largest: float | None
    chi2: tuple[float, float | None]
    llh: tuple[float, float | None]


def problems(folder: Path) -> list[Path]:
    """Return the problems' files."""
    return [found / f"{found.name}.yaml" for found in sorted(folder.iterdir()) if found.is_dir()]


def agreement(file: Path, *, as_published: bool = False) -> Agreement:
    """Compare a problem with what is published of it; `as_published`: with what is known to be amiss there, too."""
    from petab.v1 import Problem, calculate

    tables = Problem.from_yaml(str(file))
    changed = {} if as_published else SIMULATED_WITH.get(file.stem, {})
    tables.parameter_df.loc[list(changed), "nominalValue"] = list(changed.values())
    model = PetabModel(str(file))
    nominal = tables.parameter_df["nominalValue"]
    observables, fit, reasons = model.compare(np.array([[nominal[name] for name in model.space.names]]))
    if reasons[0]:
        raise RuntimeError(reasons[0])
    found = np.full(len(tables.measurement_df), np.nan)
    for group in model.problem.measurements:
        found[group.rows] = observables[group.series][0, group.places]
    published = _published(file, tables, {} if as_published else EXCHANGED.get(file.stem, {}))
    chi2, llh = float(fit.chi2[0]), float(fit.llh[0])
    if published is None:
        return Agreement(None, (chi2, None), (llh, None))
    # Of zero, no share can be taken.
    deviation = np.abs(found - published) / np.where(published == 0, np.abs(published).max(), np.abs(published))
    simulated = tables.measurement_df.drop(columns="measurement").assign(simulation=published)
    given = (tables.measurement_df, simulated, _by_observables(tables.observable_df), tables.parameter_df)
    theirs = float(calculate.calculate_chi2(*given)), float(calculate.calculate_llh(*given))
    return Agreement(float(deviation.max()), (chi2, theirs[0]), (llh, theirs[1]))


def _published(file: Path, tables: Any, exchanged: dict[str, str]) -> np.ndarray | None:
    """Return the published simulation of each measurement."""
    files = list(file.parent.glob("simulatedData_*.tsv"))
    if not files:
        return None
    table = pd.read_csv(files[0], sep="\t")
    table["simulationConditionId"] = table["simulationConditionId"].replace(exchanged)
    values: dict[tuple[Any, ...], set[float]] = {}
    of_any: dict[tuple[Any, ...], set[float]] = {}
    for _, row in table.iterrows():
        values.setdefault(_key(row), set()).add(row["simulation"])
        of_any.setdefault(_key(row)[:-1], set()).add(row["simulation"])
    found = []
    for _, row in tables.measurement_df.iterrows():
        # Some tables have values where the problem has names of parameters.
        these = sorted(values.get(_key(row), of_any.get(_key(row)[:-1], set())))
        if not these or these[-1] - these[0] > 1e-6 * abs(these[-1]):
            raise ValueError(f"{files[0].name}: {len(these)} simulations for {_key(row)}")
        found.append(these[0])
    return np.array(found)


def _key(row: Any) -> tuple[Any, ...]:
    before = row.get("preequilibrationConditionId")
    overrides = row.get("observableParameters")
    return (
        row["observableId"],
        before if isinstance(before, str) else "",
        row["simulationConditionId"],
        float(f"{row['time']:.6g}"),
        overrides if isinstance(overrides, str) else "",
    )


def _by_observables(table: pd.DataFrame) -> pd.DataFrame:
    """Return observables whose noise speaks of themselves, as `petab` needs, where it did of the state they are."""
    table = table.copy()
    for name, row in table.iterrows():
        if str(row["observableFormula"]).isidentifier():
            table.loc[name, "noiseFormula"] = str(row["noiseFormula"]).replace(
                f"*{row['observableFormula']}", f"*{name}"
            )
    return table


def outcomes(file: Path, sets: int, seed: int = 1) -> tuple[Counter[str], float]:
    """Return what became of so many sets, and the median processor time of one in seconds."""
    model = PetabModel(str(file))
    parameters = Sampler(model.space, "uniform", seed, "simulations", levels=True).draw(0, sets).physical
    counted: Counter[str] = Counter()
    seconds = []
    for row in parameters:
        began = time.process_time()
        done = model.simulate(row[None])
        seconds.append(time.process_time() - began)
        status = Status(done.status[0])
        counted["OK" if status == Status.OK else f"{status.name}: {done.reasons[0]}"] += 1
    return counted, float(np.median(seconds))


def main() -> None:
    """Print a table of what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", type=int, default=0, help="draw so many sets instead, and count what becomes of them")
    parser.add_argument("--as-published", action="store_true", help="take what is known to be amiss as it stands")
    arguments = parser.parse_args()
    for file in problems(arguments.folder):
        try:
            if arguments.sets:
                _print_outcomes(file, arguments.sets)
            else:
                _print_agreement(file, agreement(file, as_published=arguments.as_published))
        except (InputError, RuntimeError) as error:
            print(f"| {file.stem} | refused: {error} |", flush=True)


def _print_agreement(file: Path, found: Agreement) -> None:
    numbers = [
        f"{ours:.6g} | {'none' if theirs is None else f'{theirs:.6g}'}" for ours, theirs in (found.chi2, found.llh)
    ]
    largest = "none" if found.largest is None else f"{found.largest:.1e}"
    print(f"| {file.stem} | {largest} | {' | '.join(numbers)} |", flush=True)


def _print_outcomes(file: Path, sets: int) -> None:
    counted, median = outcomes(file, sets)
    print(f"| {file.stem} | {counted['OK'] / sets:.1%} | {1000 * median:.1f} ms |", flush=True)
    for reason, number in counted.most_common(6):
        if reason != "OK":
            print(f"    {number} {reason}", flush=True)


if __name__ == "__main__":
    main()
