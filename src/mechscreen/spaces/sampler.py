"""Sample numbers to parameter sets: set i depends on the method, the seed, the stream and i alone.

Sets that a constraint excludes are drawn again until one is allowed, so that what remains is the prior, given the
constraints (rejection; von Neumann 1951). The first try of a set is the sampler's point (`mechscreen.sampling`), the
others are independent of one another and of all else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError
from mechscreen.sampling import Sampling, sample_seeds, sample_unit, split_mix, unit_at, unit_of, words_at
from mechscreen.spaces.space import Draws, ParameterSpace

TRIED = 2**17
"""Sets by which the share that constraints allow is estimated."""
LEAST_ALLOWED = 16
"""Of them; of fewer, drawing would take too long."""
MOST_TRIES = 10**6
"""Of one set."""
_AT_ONCE = 2**20
"""Numbers that are drawn at a time."""


class Sampler:
    """Draws parameter sets of a space by their numbers.

    Parameters
    ----------
    stream
        Name of what they are for; different streams are independent.
    levels
        As for `ParameterSpace.draw`.
    """

    def __init__(
        self, space: ParameterSpace, method: Sampling, seed: int, stream: str, *, levels: bool = False
    ) -> None:
        self.space = space
        self.method = method
        self.seed = seed
        self.stream = stream
        self._levels = levels

    @property
    def stream_of_tries(self) -> str:
        """What the random numbers of the tries after the first are for."""
        return f"{self.stream}, tried again"

    def draw(self, start: int, stop: int) -> Draws:
        """Return the sets ``start … stop − 1``.

        Raises
        ------
        InputError
            If the constraints hardly allow any set.
        """
        unit = sample_unit(self.method, self.seed, start, stop, len(self.space), self.stream)
        return self._allowed(unit, lambda: sample_seeds(self.seed, start, stop, self.stream_of_tries))

    def at(self, index: NDArray[np.uint64]) -> Draws:
        """Return the sets of these numbers, (n,); the same ones, and errors, as `draw` has."""
        unit = unit_at(self.method, self.seed, index, len(self.space), self.stream)
        return self._allowed(unit, lambda: words_at(self.seed, self.stream_of_tries, index, 1)[:, 0])

    def _allowed(self, unit: NDArray[np.float64], seeds_of_tries: Callable[[], NDArray[np.uint64]]) -> Draws:
        """Return the sets of some points, and of further tries where they are not allowed."""
        draws = self.space.draw(unit, levels=self._levels)
        left = np.flatnonzero(~self.space.allowed(draws.physical))
        if not len(left):
            return draws
        seeds, tried = seeds_of_tries(), 0
        while len(left):
            if tried >= MOST_TRIES:
                raise _too_few(self.space, 0, tried)
            tries = min(max(1, _AT_ONCE // (len(left) * len(self.space))), 1024, MOST_TRIES - tried)
            again = self.space.draw(self._units(seeds[left], tried, tries), levels=self._levels)
            allowed = self.space.allowed(again.physical).reshape(len(left), tries)
            found = allowed.any(axis=1)
            # Of each set, the first try that is allowed.
            rows = (np.arange(len(left)) * tries + allowed.argmax(axis=1))[found]
            draws.physical[left[found]] = again.physical[rows]
            draws.position[left[found]] = again.position[rows]
            left = left[~found]
            tried += tries
        return draws

    def _units(self, seeds: NDArray[np.uint64], first: int, tries: int) -> NDArray[np.float64]:
        """Return the tries from number `first` on of some sets, (sets · tries, d), in [0, 1)."""
        d = len(self.space)
        counter = np.arange(first * d, (first + tries) * d, dtype=np.uint64)
        units: NDArray[np.float64] = unit_of(split_mix(seeds[:, None], counter)).reshape(-1, d)
        return units


def allowed_share(space: ParameterSpace, *, levels: bool = False) -> tuple[int, int]:
    """Return how many of how many sets, drawn from the priors alone, the constraints allow; always of the same sets.

    Raises
    ------
    InputError
        If they allow so few that sets cannot be drawn.
    """
    if not space.conditional and not space.derived:
        return TRIED, TRIED
    unit = sample_unit("uniform", 0, 0, TRIED, len(space), "share that is allowed")
    allowed = int(np.count_nonzero(space.allowed(space.draw(unit, levels=levels).physical)))
    if allowed < LEAST_ALLOWED:
        raise _too_few(space, allowed, TRIED)
    return allowed, TRIED


def _too_few(space: ParameterSpace, allowed: int, tried: int) -> InputError:
    rules = [*space.constraints, *(f"{name} = {text} is finite" for name, text in space.derived.items())]
    return InputError(
        f"constraints: {allowed:,} of {tried:,} parameter sets fulfil {' and '.join(rules)}, too few to draw by "
        "chance; narrow the ranges, or let one parameter follow from others (derived)"
    )
