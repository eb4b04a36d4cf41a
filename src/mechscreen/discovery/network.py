"""Discovery by ODENet: what is asked of it, and its answer in the data's units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mechscreen.discovery.hermite import dense_curve
from mechscreen.discovery.judge import judge
from mechscreen.discovery.model import DiscoveredModel
from mechscreen.discovery.odenet import train
from mechscreen.discovery.posing import Posed
from mechscreen.discovery.search import regress
from mechscreen.errors import InputError


def by_network(posed: Posed) -> DiscoveredModel:
    """Discover by ODENet, from the regression of the full library on the smoothed states."""
    problem, states, structure, data = posed.problem, posed.guesses[0], posed.structure, posed.data
    scales, units, anchors = posed.scales, posed.units, posed.anchors
    if problem.library.functions:
        raise InputError("discover: method 'odenet' integrates monomials alone; leave the functions out")
    if any(kind != "constant" for kind in posed.kinds):
        raise InputError(
            "discover: method 'odenet' takes noise to be constant; say so (noise), or take the default method"
        )
    if data.inputs:
        raise InputError("discover: method 'odenet' knows no inputs; take the default method")
    grid, columns = problem.grid, structure.columns
    times = [(t - origin) / scales.time for t, origin in zip(data.t, scales.origins, strict=True)]
    smoothed = [
        np.stack([np.interp(t, nodes, column) for column in own.T], axis=1)
        for t, nodes, own in zip(times, grid.nodes, grid.split(states), strict=True)
    ]
    anchored = np.zeros((len(data), len(data.names)), dtype=bool)
    if anchors is not None:
        anchored = np.isfinite(anchors)
        for own, start in zip(smoothed, anchors, strict=True):
            own[0] = np.where(np.isfinite(start), start, own[0])
    seen = grid.counts > 0
    noise = np.where(seen, np.maximum(posed.noise, 0.02 * posed.noise[seen].max()), 1.0)
    beta = regress(problem, states, np.arange(columns.count))
    trained = train(
        times, [y / scales.state for y in data.y], smoothed, noise, beta, columns, problem.library.exponents,
        structure.locked, anchored,
    )  # fmt: skip
    theta = columns.theta(trained.beta) / units
    active = np.flatnonzero(trained.beta)
    spread = np.zeros((units.size, columns.count))
    spread[columns.equation * len(problem.library) + columns.term, columns.column] = 1.0
    unknown = (spread[:, active] != 0).any(axis=1)
    covariance = np.where(np.outer(unknown, unknown), np.nan, 0.0)
    denoised = np.split(trained.states * scales.state, np.cumsum([len(t) for t in times])[:-1])
    price = float(np.log(grid.counts.sum()) + 2 * np.log(max(columns.count, 2)) + 2)
    criterion = float(grid.counts[seen] @ np.log(trained.noise[seen] ** 2)) + price * len(active)
    model = DiscoveredModel(
        library=problem.library,
        coefficients=theta,
        covariance=covariance,
        noise=np.where(seen, trained.noise * scales.state, np.nan),
        noise_kinds=posed.kinds,
        noise_factors=np.where(seen, trained.noise * scales.state, np.nan),
        t=data.t,
        denoised=tuple(denoised),
        initial=np.stack([x[0] for x in denoised]),
        curves=tuple(
            dense_curve(t, x, problem.library.values(x) @ theta.T) for t, x in zip(data.t, denoised, strict=True)
        ),
        freedom=max(int(grid.counts.sum()) - len(active) - int(seen.sum()) * len(data), 1),
        criterion=criterion,
        knowledge=tuple(posed.knowledge.describe()),
    )
    scaled = data.pooled[:, seen] / scales.state[seen]
    constants = float(grid.counts[seen] @ np.log(np.nanvar(scaled, axis=0)))
    smoothing = posed.noise * scales.state
    caveats = judge(model, data, smoothed=smoothing, converged=trained.mismatch < 0.1, gain=constants - criterion)
    return replace(model, caveats=tuple(caveats))
