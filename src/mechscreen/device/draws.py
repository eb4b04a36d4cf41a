"""Sample numbers to parameter sets, in a program of JAX: the sets that `mechscreen.spaces.Sampler` draws."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mechscreen.sampling import (
    SEQUENCE_LENGTH,
    Directions,
    sobol_at,
    sobol_directions,
    split_mix,
    unit_of,
    words_at,
)
from mechscreen.spaces import Draws, Sampler
from mechscreen.spaces.sampler import MOST_TRIES


class Drawn(NamedTuple):
    """Parameter sets of a batch.

    Attributes
    ----------
    normalised
        (n, inputs), float32, as networks take them.
    position
        (n, varied parameters), along the axes.
    unknown
        (n,), whether none was allowed in as many tries as the host has, which will say so.
    """

    normalised: Any
    position: Any
    unknown: Any


def on_host(sampler: Sampler) -> str:
    """Return why the host has to draw the sets, "" where it need not."""
    by_scipy = [f"{p.name} ({p.prior.name})" for p in sampler.space if p.prior is not None and not p.prior.in_arrays]
    return f"the quantiles of {', '.join(by_scipy)} are SciPy's" if by_scipy else ""


class Source:
    """Draws the sets of a sampler by their numbers, in a program.

    Parameters
    ----------
    varied
        Places of the parameters whose positions are wanted.
    """

    def __init__(self, sampler: Sampler, varied: list[int]) -> None:
        self._sampler = sampler
        self._varied = np.array(varied, dtype=int)
        self._by_host = bool(on_host(sampler))

    def tables(self, first: int) -> Directions | None:
        """Return what the program is told of the sets from number `first` on, as far as `last` says."""
        sampler = self._sampler
        if sampler.method == "uniform" or self._by_host:
            return None
        return sobol_directions(sampler.seed, sampler.stream, first // SEQUENCE_LENGTH, len(sampler.space))

    def last(self, first: int, stop: int) -> int:
        """Return up to which number, exclusive, the tables from `first` on serve."""
        if self._sampler.method == "uniform":
            return stop
        return min(stop, (first // SEQUENCE_LENGTH + 1) * SEQUENCE_LENGTH)

    def __call__(self, index: Any, tables: Directions | None) -> Drawn:
        """Return the sets of these numbers, (n,), uint64."""
        draws, unknown = self._asked(index) if self._by_host else self._drawn(index, tables)
        normalised = self._sampler.space.normalise(draws.physical)
        return Drawn(jnp.asarray(normalised, jnp.float32), draws.position[:, self._varied], unknown)

    def _asked(self, index: Any) -> tuple[Draws, Any]:
        """Return what the host draws."""
        shape = jax.ShapeDtypeStruct((len(index), len(self._sampler.space)), np.float64)

        def draw(numbers: Any) -> tuple[Any, Any]:
            draws = self._sampler.at(np.asarray(numbers))
            return draws.physical, draws.position

        return Draws(*jax.pure_callback(draw, (shape, shape), index)), jnp.zeros(len(index), bool)

    def _drawn(self, index: Any, tables: Directions | None) -> tuple[Draws, Any]:
        sampler, space = self._sampler, self._sampler.space
        if tables is None:
            unit = unit_of(words_at(sampler.seed, sampler.stream, index, len(space)))
        else:
            unit = sobol_at(tables, index % np.uint64(SEQUENCE_LENGTH))
        draws = space.draw(unit)
        if not space.conditional and not space.derived:
            return draws, jnp.zeros(len(index), bool)
        seeds = words_at(sampler.seed, sampler.stream_of_tries, index, 1)
        places = jnp.arange(len(space), dtype=jnp.uint64)

        def more(state: tuple[Any, ...]) -> Any:
            tried, left, *_ = state
            return left.any() & (tried < MOST_TRIES)

        def again(state: tuple[Any, ...]) -> tuple[Any, ...]:
            tried, left, physical, position = state
            other = space.draw(unit_of(split_mix(seeds, places + tried * np.uint64(len(space)))))
            found = left & space.allowed(other.physical)
            physical = jnp.where(found[:, None], other.physical, physical)
            position = jnp.where(found[:, None], other.position, position)
            return tried + np.uint64(1), left & ~found, physical, position

        state = (jnp.uint64(0), ~space.allowed(draws.physical), draws.physical, draws.position)
        _, left, physical, position = lax.while_loop(more, again, state)
        return Draws(physical, position), left
