"""The SBML Test Suite through `mechscreen.models.sbml`: its semantic cases, and its stochastic ones.

    python benchmarks/sbml_suite.py ../shared/data/sbml-test-suite
    python benchmarks/sbml_suite.py SUITE --trajectories 10000

SUITE holds folders `semantic` and `stochastic` of https://github.com/sbmlteam/sbml-test-suite (LGPL-2.1), each with
folders of cases: model, settings, results. A semantic case is right within the tolerances of its settings. Of n
trajectories, √n (mean − expected)/sd and √(n/2) (variance/expected − 1) are to lie within the ranges of the settings.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import libsbml
import numpy as np

from mechscreen.errors import InputError
from mechscreen.models.sbml import SBMLModel
from mechscreen.models.sbml_document import read_document

_UNUSED = "unused_beside_the_model"


@dataclass(frozen=True)
class Case:
    """A case with what is expected."""

    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        lines = next(self.folder.glob("*settings.txt")).read_text().splitlines()
        return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines) if value}

    @property
    def model_file(self) -> Path:
        return next(self.folder.glob("*.xml"))

    def expected(self) -> dict[str, np.ndarray]:
        with next(self.folder.glob("*results.csv")).open() as stream:
            rows = list(csv.reader(stream))
        table = np.array([[_number(field) for field in row] for row in rows[1:] if row])
        return {name.strip(): table[:, k] for k, name in enumerate(rows[0])}

    def names(self, key: str) -> list[str]:
        return [name.strip() for name in self.settings.get(key, "").split(",") if name.strip()]

    def model(self, folder: Path, **options: object) -> SBMLModel:
        """Return the model, with a parameter beside it that means nothing, since something has to vary."""
        asked = {name: name for name in self.names("variables")}
        asked |= {name: f"amount({name})" for name in self.names("amount") if self._is_species(name)}
        asked |= {name: f"concentration({name})" for name in self.names("concentration") if self._is_species(name)}
        settings = self.settings
        start, duration = float(settings["start"]), float(settings["duration"])
        return SBMLModel(
            str(_with_unused(self.model_file, folder)),
            outputs={name: {"of": of, "scale": "linear"} for name, of in asked.items()},
            vary={_UNUSED: [0.0, 1.0]},
            start=start,
            end=start + duration,
            points=int(settings["steps"]) + 1,
            **options,
        )

    def _is_species(self, name: str) -> bool:
        return name in self._quantities and self._quantities[name].kind == "species"

    @property
    def _quantities(self):
        return read_document(self.model_file).quantities


def _with_unused(file: Path, folder: Path) -> Path:
    document = libsbml.readSBMLFromFile(str(file))
    if document.getModel() is None:
        return file
    parameter = document.getModel().createParameter()
    parameter.setId(_UNUSED)
    parameter.setValue(0.0)
    parameter.setConstant(True)
    copied = folder / f"{file.parent.name}.xml"
    copied.write_text(libsbml.writeSBMLToString(document))
    return copied


def _number(text: str) -> float:
    return float(text.strip().replace("INF", "inf"))


def cases(suite: Path, kind: str) -> list[Case]:
    """Return the cases of a kind that there are."""
    folder = suite / kind
    return [Case(found) for found in sorted(folder.iterdir())] if folder.is_dir() else []


def is_right(case: Case, folder: Path) -> tuple[bool, str]:
    """Return whether a deterministic case comes out within the suite's tolerances; raises where it is refused."""
    settings = case.settings
    absolute, relative = float(settings["absolute"]), float(settings["relative"])
    model = case.model(folder)
    solution = model.solve(np.array([[p.low for p in model.space]]), np.zeros(1, np.uint64))
    if solution.reasons[0]:
        raise RuntimeError(solution.reasons[0])
    expected = case.expected()
    for name in case.names("variables"):
        found = np.asarray(solution.profiles[name])[0]
        wanted = expected[name]
        same = np.isclose(found, wanted, rtol=relative, atol=absolute, equal_nan=True)
        if not same.all():
            k = int(np.argmin(same))
            return False, f"{name} at point {k}: {found[k]} for {wanted[k]}"
    return True, ""


def deviations(case: Case, folder: Path, trajectories: int) -> dict[str, np.ndarray]:
    """Return by how many standard errors means and variances of a stochastic case are off, each over its range's end.

    The suite's ranges are ±3 for means and ±5 for variances, so that 1 is the end of a range. Points at which nothing
    is random are left out, once they were seen to be right.
    """
    model = case.model(folder, method="ssa", trajectories=trajectories)
    # Cases are variations of a few models: with one seed they would all be off alike.
    solution = model.solve(np.zeros((1, 1)), np.array([int(case.folder.name)], np.uint64))
    if solution.reasons[0]:
        raise RuntimeError(solution.reasons[0])
    expected = case.expected()
    found = {}
    for name in case.names("variables"):
        mean, sd = (np.asarray(solution.profiles[key])[0] for key in (name, f"sd of {name}"))
        wanted, spread = expected[f"{name}-mean"], expected[f"{name}-sd"]
        random = spread > 0
        if not np.allclose(mean[~random], wanted[~random]):
            raise ValueError(f"{name}: {mean[~random]} where nothing is random, for {wanted[~random]}")
        ends = {key: float(case.settings[f"{key}Range"].strip("()").split(",")[1]) for key in ("mean", "sd")}
        mean_off = np.sqrt(trajectories) * (mean - wanted)[random] / spread[random]
        variance_off = np.sqrt(trajectories / 2) * (sd[random] ** 2 / spread[random] ** 2 - 1)
        found[f"{name}, mean"] = mean_off / ends["mean"]
        found[f"{name}, sd"] = variance_off / ends["sd"]
    return found


def main() -> None:
    """Run both parts of the suite and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--trajectories", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcome: Counter[str] = Counter()
        for case in cases(arguments.suite, "semantic"):
            try:
                right, why = is_right(case, folder)
                outcome["right" if right else "wrong"] += 1
                if not right:
                    print(f"semantic {case.folder.name}: wrong: {why}")
            except InputError as error:
                outcome["refused"] += 1
                print(f"semantic {case.folder.name}: refused: {str(error).partition(': ')[2]}")
        print(f"semantic: {', '.join(f'{number} {what}' for what, number in outcome.items())}", flush=True)
        within, all_points, largest = 0, 0, 0.0
        for case in cases(arguments.suite, "stochastic"):
            try:
                off = np.abs(np.concatenate([*deviations(case, folder, arguments.trajectories).values()]))
            except InputError as error:
                print(f"stochastic {case.folder.name}: refused: {str(error).partition(': ')[2]}")
                continue
            within, all_points, largest = within + int((off <= 1).sum()), all_points + len(off), max(largest, off.max())
            print(
                f"stochastic {case.folder.name}: {(off <= 1).mean():.1%} of {len(off)}, largest {off.max():.2f} ranges"
            )
        if all_points:
            print(
                f"stochastic: {within} of {all_points} points within ({within / all_points:.2%}), largest {largest:.2f}"
            )


if __name__ == "__main__":
    main()
