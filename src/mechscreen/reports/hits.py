"""Hits: the validated hits as a table that people read, those that can be trusted most first."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from mechscreen.campaign import Campaign
from mechscreen.errors import FileError, unreadable
from mechscreen.models.distances import Distance
from mechscreen.progress import printable
from mechscreen.schemas.validation import ValidatedHits

_NUMBERS = ("rmse", "disagreement", "sensitivity", "nearest_distance")


def to_csv(campaign: Campaign, table: ValidatedHits) -> str:
    """Return the CSV of validated hits, by trust; empty where nothing was measured.

    Parameters and features are in their units.
    """
    names, counts = campaign.class_names, Distance.of(campaign.outputs).counts
    columns = {name: getattr(table, name) for name in _NUMBERS}
    columns["sensitivity"] = table.sensitivity[:, counts].max(axis=1)
    if table.probability is not None:
        columns = {"probability": table.probability, **columns}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parameters = _told(campaign, table)
    heads_of = {parameter.name: parameter.head for parameter in campaign.space}
    heads = [heads_of.get(name, name) for name in parameters]
    features = {
        f"{way} {label}": values
        for label, both in zip(campaign.features.labels, features_of(campaign, table).values(), strict=True)
        for way, values in zip(("emulated", "simulated"), both, strict=True)
    }
    writer.writerow(["sample", "emulated", "simulated", "confirmed", *columns, *features, *heads])
    for i in table.by_trust:
        label = int(table.labels[i])
        writer.writerow(
            [
                int(table.index[i]),
                names[table.emulated_labels[i]],
                names[label] if label >= 0 else f"failed: {table.reasons[i]}",
                "yes" if table.confirmed[i] else "no",
                *("" if np.isnan(values[i]) else f"{values[i]:.4g}" for values in columns.values()),
                *("" if np.isnan(values[i]) else f"{values[i]:.6g}" for values in features.values()),
                *(column[i] for column in parameters.values()),
            ]
        )
    return stream.getvalue()


def features_of(campaign: Campaign, table: ValidatedHits) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return each of the campaign's features of the hits by its name: (n,) emulated, and (n,) simulated."""
    features = campaign.features
    said = features(table.emulated_profiles, table.emulated_log_peaks)
    found = features(table.profiles, table.log_peaks)
    simulated = table.labels >= 0
    return {name: (said[name], np.where(simulated, found[name], np.nan)) for name in features.names}


def _told(campaign: Campaign, table: ValidatedHits) -> dict[str, list[str]]:
    """Return the values of each parameter by its name, those that follow from others last."""
    space = campaign.space
    told = {p.name: p.told for p in space if p.categories}
    return {
        name: [told[name](value) if name in told else f"{value:.8g}" for value in column]
        for name, column in space.columns(table.parameters).items()
    }


def list_hits(results: Path, top: int) -> str:
    """Return the first rows of a campaign's hits as aligned text.

    Parameters
    ----------
    results
        Folder of the campaign, such as ``results/demo``.

    Raises
    ------
    InputError
        If its hits were not validated yet.
    FileError
        If the table is not one.
    """
    path = results / "validation" / "hits.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except OSError as error:
        remedy = "give the folder of a campaign whose hits are validated, such as results/demo"
        raise unreadable(path, error, remedy) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, f"not a table of hits ({error})", "run mechscreen validate again") from None
    if not rows or rows[0][:1] != ["sample"] or any(len(row) != len(rows[0]) for row in rows):
        raise FileError(path, "not a table of hits", "run mechscreen validate again")
    # The table may have come from anywhere.
    head, *shown = [[printable(_short(cell)) for cell in row] for row in rows[: top + 1]]
    aligned = ["right"] * len(head)
    table = tabulate(shown, head, tablefmt="plain", disable_numparse=True, colalign=aligned if shown else None)
    hits = len(rows) - 1
    return "\n".join([table, f"{min(top, hits):,} of {hits:,} validated hits, by trust; all of them: {path}"])


def _short(cell: str) -> str:
    """Return a number with four digits, anything else as it is."""
    try:
        return cell if cell.isdigit() else f"{float(cell):.4g}"
    except ValueError:
        return cell
