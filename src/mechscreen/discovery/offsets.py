"""Variables that ride on an offset: equations are sought for their differences from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.data import Trajectories
from mechscreen.discovery.library import FloatArray, Library
from mechscreen.discovery.model import Alternative, DiscoveredModel
from mechscreen.discovery.shapes import Shape

POSSIBLE = 10.0
"""How many of its standard deviations a variable's mean is, from which on it may be an offset."""
CERTAIN = 30.0
"""From which on it is taken for one: of how rates depend on the whole value, all that is seen is the first degree."""


@dataclass(frozen=True, eq=False)
class Offsets:
    """What is taken from each variable, (d + q,), 0 from most: `values`; `names` are theirs, as before."""

    names: tuple[str, ...]
    values: FloatArray

    @classmethod
    def of(cls, data: Trajectories, least: float) -> Offsets | None:
        """Return the offsets of data that are at least so many standard deviations; None without any."""
        names = (*data.names, *data.inputs)
        known = data.with_inputs
        mean, spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
        ratio = np.abs(mean) / np.maximum(spread, 1e-300)
        stated = np.array([kind not in ("auto", "constant") for kind in data.noise] + [False] * len(data.inputs))
        large = (ratio > least) & (spread > 0) & ~stated
        if not large.any():
            return None
        # Few digits, so that equations can be read; none that matter.
        digits = [-int(np.floor(np.log10(own))) if there else 0 for own, there in zip(spread, large, strict=True)]
        values = [round(float(own), at) if there else 0.0 for own, at, there in zip(mean, digits, large, strict=True)]
        return cls(names, np.array(values))

    @property
    def differences(self) -> tuple[str, ...]:
        """What is sought instead of the variables, as it is written: ``(p - 101325)``."""
        pairs = zip(self.names, self.values, strict=True)
        return tuple(f"({name} {'-' if c > 0 else '+'} {abs(c):.15g})" if c else name for name, c in pairs)

    def taken(self, data: Trajectories) -> Trajectories:
        """Return the data as differences, with noise that is the same throughout where it would be found out."""
        d, s = len(data.names), len(data.sampled)
        called, c = self.differences, self.values
        pairs = zip(data.noise, c[:d], strict=True)
        return replace(
            data,
            names=called[:d],
            y=tuple(y - c[:d] for y in data.y),
            noise=tuple("constant" if own and kind == "auto" else kind for kind, own in pairs),
            sampled=called[d : d + s],
            samples=tuple(u - c[d : d + s] for u in data.samples),
            in_steps=called[d + s :],
            courses=tuple(replace(course, values=course.values - c[d + s :]) for course in data.courses),
        )

    def restored(self, model: DiscoveredModel, plain: Library) -> DiscoveredModel:
        """Return a model of differences with the equations of the variables.

        Terms of the first degree in differences are expanded; others keep them, since the sum of expanded ones, each
        of which is many times as large, would have lost its digits.

        Parameters
        ----------
        plain
            The variables' library, with all terms of the model's, in which no difference stands.
        """
        d, q = len(model.names), len(model.inputs)
        library = model.library
        shifted = np.flatnonzero(self.values)
        used = np.flatnonzero(model.support.any(axis=0)).tolist()
        kept = [m for m in used if library.exponents[m, shifted].sum() > 1]
        shapes = [Shape.of(library.names[m], self.names, [], []) for m in kept]
        whole = plain.with_functions(shapes)
        place = {tuple(row): m for m, row in enumerate(plain.exponents.tolist())}
        expansion = np.zeros((len(whole), len(library)))
        for m in used:
            exponents = library.exponents[m]
            if m in kept:
                expansion[len(plain) + kept.index(m), m] = 1.0
                continue
            expansion[place[tuple(exponents)], m] = 1.0
            for j in shifted[exponents[shifted] == 1]:
                rest = exponents.copy()
                rest[j] = 0
                expansion[place[tuple(rest)], m] = -self.values[j]
        every = np.kron(np.eye(d), expansion)
        return replace(
            model,
            library=whole,
            coefficients=model.coefficients @ expansion.T,
            covariance=every @ model.covariance @ every.T,
            denoised=tuple(x + self.values[:d] for x in model.denoised),
            curves=tuple((t, x + self.values[:d]) for t, x in model.curves),
            initial=model.initial + self.values[:d],
            courses=tuple(replace(course, values=course.values + self.values[d : d + q]) for course in model.courses),
            alternatives=tuple(Alternative(self._told(a.change), a.price) for a in model.alternatives),
            caveats=tuple(self._plainly(self._told(caveat)) for caveat in model.caveats),
        )

    def _told(self, text: str) -> str:
        """Return words of a model of differences, as of the variables: a difference changes as its variable does."""
        for name, difference in zip(self.names, self.differences, strict=True):
            text = text.replace(f"d{difference}/dt", f"d{name}/dt")
        return text

    def _plainly(self, text: str) -> str:
        """Return words in which a difference by itself is called by its variable, which has the same coefficient."""
        for name, difference in zip(self.names, self.differences, strict=True):
            text = re.sub(rf"(?<![*]){re.escape(difference)}(?![*^])", name, text)
        return text


def cost(model: DiscoveredModel, data: Trajectories) -> float:
    """Return the criterion with the noise in the data's units: comparable between offsets."""
    counts = np.isfinite(data.pooled).sum(axis=0)
    seen = counts > 0
    return model.criterion + float(counts[seen] @ np.log(np.nanmean(data.pooled[:, seen] ** 2, axis=0)))
