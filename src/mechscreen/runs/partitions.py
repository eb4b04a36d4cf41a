"""Partitions of a SLURM as the plugin's ``slurm-partition-config`` has them, by which it chooses for each job."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.runs.site import Partition, accounts, partitions

_HEAD = """\
# Partitions of this cluster by sinfo and scontrol, {day}: of several that can take a job, Snakemake's SLURM plugin
# takes the one whose limits the job comes closest to, so that what is short goes to a short queue. Those that take no
# jobs, or none of your accounts, are left out; leave out others that you do not want. In the profile:
#
#   slurm-partition-config: {name}
#
# and no slurm_partition, which would take the place of the choice.

"""


def write_partitions(path: Path) -> list[Partition]:
    """Write the partitions that this user can use, and return them.

    Raises
    ------
    InputError
        If `path` exists, or SLURM does not say what it has.
    """
    if path.exists():
        raise InputError(f"{path}: is there already; move it away, or name another file")
    storage.check_writable(path)
    ours = accounts()
    usable = [place for place in partitions() if place.up and (not place.accounts or ours & set(place.accounts))]
    if not usable:
        raise InputError("sinfo names no partition that takes your jobs; run this on a login node of the cluster")
    config = {"partitions": {place.name: limits(place) for place in usable}}
    head = _HEAD.format(day=date.today().isoformat(), name=path)
    storage.write_text(path, head + yaml.safe_dump(config, sort_keys=False))
    return usable


def limits(place: Partition) -> dict[str, Any]:
    """Return the limits of a partition by the plugin's names (`snakemake_executor_plugin_slurm.partitions`)."""
    found: dict[str, Any] = {}
    if not math.isinf(place.minutes):
        found["max_runtime"] = math.floor(place.minutes)
    found["max_threads"] = place.cores
    found["max_mem_mb"] = round(place.megabytes)
    found["max_mem_mb_per_cpu"] = round(min(place.megabytes, place.megabytes_per_core))
    found["max_tasks"] = place.cores * round(min(place.nodes, place.most_nodes))
    found["max_nodes"] = round(min(place.nodes, place.most_nodes))
    if place.gpus:
        found["max_gpu"] = sum(place.gpus.values())
        if models := [model for model in place.gpus if model != "gpu"]:
            found["available_gpu_models"] = models
    if place.features:
        found["available_constraints"] = list(place.features)
    return found
