"""What discovery returns: equations, their uncertainty, and what to think of them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import LSODA
from scipy.stats import t as student

from mechscreen.discovery.inputs import Course
from mechscreen.discovery.library import FloatArray, IntArray, Library
from mechscreen.errors import InputError, at_most, nearest


class Undetermined(InputError):  # noqa: N818 - reads as what it says
    """The data do not determine a model; the message says why."""


@dataclass(frozen=True)
class Alternative:
    """A support one move away from the chosen one.

    Attributes
    ----------
    change
        The move in words.
    price
        By how much the criterion (−2 ln likelihood plus the terms' price) is worse than the chosen model's, on the
        quadratic model; negative where that errs: with exact starts, such moves were fitted and found worse.
    """

    change: str
    price: float


@dataclass(frozen=True)
class Group:
    """What holds under one condition.

    Attributes
    ----------
    label
        Of the condition.
    trajectories
        Indices of those that have it, among those that were used.
    coefficients, covariance
        As of `DiscoveredModel`.
    """

    label: str
    trajectories: tuple[int, ...]
    coefficients: FloatArray
    covariance: FloatArray


@dataclass(frozen=True)
class DiscoveredModel:
    """Equations ``dx/dt = coefficients · library(x)`` with their uncertainty.

    Attributes
    ----------
    library
        Candidate terms; see `term_names` and `terms`.
    coefficients
        (d, n_terms), in the data's units; zero where a term is not part of the model, NaN where it varies by group.
    covariance
        (d · n_terms, d · n_terms) of ``coefficients.ravel()``; zero where a term is absent or fixed, NaN where one
        varies by group, and from a method that gives none.
    noise
        (d,) standard deviation of the samples' noise, root mean square; NaN for a hidden variable.
    noise_kinds, noise_factors
        (d,) kinds of noise (`mechscreen.discovery.noise.KINDS`, or ``"given"``), and standard deviations in shares of
        values, of their square roots, or of the errors that were given.
    t, denoised
        Per trajectory, the sample times (n,) and the fitted solution there (n, d).
    leverage
        Per trajectory, the share (n, d) by which the fit makes a residual's variance smaller; none where that is small.
    curves
        Per trajectory, the same solution at times (N,) as close as it takes to draw it, and there (N, d).
    unknown_errors
        (I,) standard errors of the unknowns inside of terms, on the scales that they were sought on.
    courses
        What the inputs do in each trajectory; none without inputs.
    initial
        (n_trajectories, d) fitted states at each trajectory's first time.
    freedom
        Degrees of freedom of the residuals.
    criterion
        Value of the information criterion; comparable between models of the same data and library.
    confidence
        Probability of the chosen support among it and all supports one move away, under the criterion.
    alternatives
        The closest of those, best first.
    caveats
        What limits the result, in words; empty if nothing was found.
    knowledge
        Statements that the user made beforehand.
    groups
        Conditions, with coefficients of their own; none where none were given. See `of_group`.
    method
        Name of the method that found it.
    kept, left_out
        Places of the trajectories that were used among those that were given, and why each of the others was not.
    elapsed
        Process time of the search in seconds.
    """

    library: Library
    coefficients: FloatArray
    covariance: FloatArray
    noise: FloatArray
    t: tuple[FloatArray, ...]
    denoised: tuple[FloatArray, ...]
    initial: FloatArray
    freedom: int
    courses: tuple[Course, ...] = ()
    noise_kinds: tuple[str, ...] = ()
    noise_factors: FloatArray = field(default_factory=lambda: np.zeros(0))
    unknown_errors: FloatArray = field(default_factory=lambda: np.zeros(0))
    curves: tuple[tuple[FloatArray, FloatArray], ...] = ()
    leverage: tuple[FloatArray, ...] = ()
    criterion: float = math.nan
    confidence: float = math.nan
    alternatives: tuple[Alternative, ...] = ()
    caveats: tuple[str, ...] = ()
    knowledge: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    method: str = ""
    kept: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    elapsed: float = math.nan

    @property
    def names(self) -> tuple[str, ...]:
        """Variables, (d,)."""
        return self.library.states

    @property
    def inputs(self) -> tuple[str, ...]:
        """Measured variables that have no equation, (q,)."""
        return self.library.inputs

    @property
    def term_names(self) -> tuple[str, ...]:
        """Terms, (n_terms,)."""
        return self.library.names

    @property
    def terms(self) -> IntArray:
        """Exponents of the terms, (n_terms, d + q); −1 throughout for a term that is no monomial."""
        return np.concatenate(
            [
                self.library.exponents,
                np.full_like(
                    self.library.exponents, -1, shape=(len(self.library.functions), len(self.names) + len(self.inputs))
                ),
            ]
        )

    @property
    def support(self) -> np.ndarray:
        """(d, n_terms), True where a term is part of the model."""
        return self.coefficients != 0

    @property
    def varying(self) -> np.ndarray:
        """(d, n_terms), True where a coefficient has a value for each group."""
        return np.isnan(self.coefficients)

    def of_group(self, label: str) -> DiscoveredModel:
        """Return the model of one condition, with its trajectories alone.

        Raises
        ------
        InputError
            If there is no such condition.
        """
        for group in self.groups:
            if group.label == str(label):
                return self._of(group, group.trajectories)
        labels = [group.label for group in self.groups]
        raise InputError(
            f"discover: no group '{label}'{nearest(str(label), labels)} (groups: {', '.join(labels) or 'none'})"
        )

    def of_trajectory(self, i: int) -> DiscoveredModel:
        """Return the model that holds for one trajectory, with it alone."""
        return self._of(next((group for group in self.groups if i in group.trajectories), None), (i,))

    def _of(self, group: Group | None, trajectories: Sequence[int]) -> DiscoveredModel:
        return replace(
            self,
            coefficients=self.coefficients if group is None else group.coefficients,
            covariance=self.covariance if group is None else group.covariance,
            groups=(),
            t=tuple(self.t[i] for i in trajectories),
            denoised=tuple(self.denoised[i] for i in trajectories),
            curves=tuple(self.curves[i] for i in trajectories) if self.curves else (),
            leverage=tuple(self.leverage[i] for i in trajectories) if self.leverage else (),
            kept=tuple(self.kept[i] for i in trajectories) if self.kept else (),
            initial=self.initial[list(trajectories)],
            courses=tuple(self.courses[i] for i in trajectories) if self.courses else (),
        )

    @property
    def of_each_group(self) -> list[tuple[str, DiscoveredModel]]:
        """Labels of conditions and what holds there; the model itself, called "", where there are none."""
        return [(group.label, self._of(group, group.trajectories)) for group in self.groups] or [("", self)]

    @property
    def standard_errors(self) -> FloatArray:
        """(d, n_terms); zero where a term is absent or fixed."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0)).reshape(self.coefficients.shape)

    def intervals(self, level: float = 0.95) -> FloatArray:
        """Confidence intervals of the coefficients, (d, n_terms, 2), from Student's t."""
        half = self._quantile(level) * self.standard_errors
        return np.stack([self.coefficients - half, self.coefficients + half], axis=-1)

    def unknowns(self, level: float = 0.95) -> list[tuple[str, str, float, float, float]]:
        """Return term, name, value and confidence interval of each unknown inside of a term of the model."""
        half = self._quantile(level)
        found = []
        library = self.library
        for (m, _), unknown, at, error in zip(
            library.unknowns, library.inside, library.positions, self.unknown_errors, strict=True
        ):
            if self.support[:, m].any():
                ends = (at, at - half * error, at + half * error)
                values = (float(np.exp(end)) if unknown.log else float(end) for end in ends)
                found.append((self.term_names[m], unknown.name, *values))
        return found  # type: ignore[return-value]

    def _quantile(self, level: float) -> float:
        """Return by how many standard errors an interval goes to either side, from Student's t."""
        if not 0 < level < 1:
            raise InputError(f"confidence level {level}: give a number between 0 and 1")
        return float(student.ppf(0.5 + level / 2, max(self.freedom, 1)))

    def equations(self, precision: int = 4) -> list[str]:
        """Return one line per equation: ``dx/dt = 1.5 x - 1 x*y``; a blank is a product, ``^`` and ``**`` a power.

        Coefficients have so many digits, and more where terms nearly cancel. One that varies is ``[A: 0.5, B: 1]``,
        with the groups' labels.
        """
        lines = []
        for k, (name, row) in enumerate(zip(self.names, self.coefficients, strict=True)):
            text = ""
            digits = precision + self._cancelled[k]
            for m in np.flatnonzero(row):
                sign = "-" if row[m] < 0 else "+" if text else ""
                factor = f"{abs(row[m]):.{digits[m]}g}"
                if np.isnan(row[m]):
                    values = (f"{group.label}: {group.coefficients[k, m]:.{precision}g}" for group in self.groups)
                    factor = f"[{', '.join(values)}]"
                product = _product(factor, self.term_names[m])
                text += f"{' ' if text else ''}{sign}{' ' if text else ''}{product}"
            lines.append(f"d{name}/dt = {text or '0'}")
        return lines

    @cached_property
    def _cancelled(self) -> IntArray:
        """(d, n_terms), decimal digits by which each term is larger than the rate that it is part of, as fitted."""
        used = np.flatnonzero(self.support.any(axis=0))
        digits = np.zeros(self.coefficients.shape, dtype=np.int64)
        x = np.concatenate(self.denoised) if self.denoised else np.zeros((0, len(self.names)))
        if self.courses:
            x = np.concatenate([x, np.concatenate([u(t) for u, t in zip(self.courses, self.t, strict=True)])], axis=1)
        if len(x) and len(used):
            parts = self.coefficients[:, used] * self.library.values(x, used)[:, None, :]
            size, whole = (np.sqrt(np.mean(own**2, axis=0)) for own in (parts, parts.sum(axis=2)))
            with np.errstate(all="ignore"):
                larger = np.log10(size / whole[:, None])
            digits[:, used] = np.clip(np.floor(np.where(np.isfinite(larger), larger, 0.0)), 0, 12)
        return digits

    def rates(self, x: ArrayLike) -> FloatArray:
        """Time derivatives (n, d) at states and inputs x (n, d + q); NaN where coefficients vary (`of_group`)."""
        terms = np.flatnonzero(self.support.any(axis=0))
        values = self.library.values(np.atleast_2d(np.asarray(x, dtype=float)), terms)
        return values @ self.coefficients[:, terms].T

    def simulate(
        self,
        x0: ArrayLike,
        t: ArrayLike,
        *,
        group: str | None = None,
        inputs: Callable[[FloatArray], FloatArray] | None = None,
        tolerance: float = 1e-9,
    ) -> FloatArray:
        """Integrate the equations from x0 (d,) at t[0]; returns (n, d), NaN from where the solution leaves all bounds.

        Parameters
        ----------
        group
            Condition under which; to be given where coefficients vary.
        inputs
            What they are at times (n,), (n, q); those of the first trajectory, of that condition, unless given.

        Raises
        ------
        InputError
            If the shapes do not fit, the times do not increase, or the condition is not known.
        """
        if group is not None:
            return self.of_group(group).simulate(x0, t, inputs=inputs, tolerance=tolerance)
        self.check_single("simulate")
        course = inputs or (self.courses[0] if self.courses else None)
        start, times = np.asarray(x0, dtype=float), np.asarray(t, dtype=float)
        d = len(self.names)
        if start.shape != (d,) or times.ndim != 1 or len(times) < 1 or (np.diff(times) <= 0).any():
            raise InputError(f"simulate: x0 has shape {start.shape}, t {times.shape}; need ({d},) and increasing (n,)")
        terms = np.flatnonzero(self.support.any(axis=0))
        coefficients = self.coefficients[:, terms]
        bound = 1e6 * max(float(np.abs(start).max()), *(float(np.nanmax(np.abs(x))) for x in self.denoised))

        def beside(now: float, x: FloatArray) -> FloatArray:
            return x[None] if course is None else np.concatenate([x[None], course(np.array([now]))], axis=1)

        def rate(now: float, x: FloatArray) -> FloatArray:
            return coefficients @ self.library.values(beside(now, x), terms)[0]

        def jacobian(now: float, x: FloatArray) -> FloatArray:
            return coefficients @ self.library.evaluate(beside(now, x), terms)[1][0][:, :d]

        out = np.full((len(times), d), np.nan)
        out[0] = start
        if len(times) == 1:
            return out
        scale = np.abs(self.denoised[0]).max(axis=0) + 1e-300
        with np.errstate(all="ignore"):
            solver = LSODA(rate, times[0], start, times[-1], rtol=tolerance, atol=tolerance * scale, jac=jacobian)
            done = 1
            while done < len(times):
                solver.step()
                if solver.status == "failed" or not (np.abs(solver.y) < bound).all():
                    break
                reached = int(np.searchsorted(times, solver.t, side="right"))
                out[done:reached] = solver.dense_output()(times[done:reached]).T
                done = reached
        return out

    def check_single(self, what: str) -> None:
        """Refuse what needs a value of each coefficient where some have several, by group."""
        if self.varying.any():
            labels = ", ".join(group.label for group in self.groups)
            raise InputError(f"{what}: coefficients vary by condition; say which one (group: one of {labels})")

    def summary(self) -> str:
        """Return equations, intervals, certainty of the support and caveats as text."""
        lines = [*self.equations(), ""]
        cells = []
        for k, m, label, own in self.each_coefficient():
            ends = own.intervals()[k, m]
            interval = f"95 %: {ends[0]:+.5g} … {ends[1]:+.5g}"
            if own.standard_errors[k, m] == 0.0:
                interval = "known"
            elif np.isnan(own.standard_errors[k, m]):
                interval = "no interval"
            term = f"{self.term_names[m]} ({label})" if label else self.term_names[m]
            cells.append(
                (f"d{self.names[k]}/dt", term, f"{own.coefficients[k, m]:+.{5 + self._cancelled[k, m]}g}", interval)
            )
        for term, name, value, low, high in self.unknowns():
            cells.append(("", f"{name} of {term}", f"{value:+.5g}", f"95 %: {low:+.5g} … {high:+.5g}"))
        widths = [max((len(cell) for cell in column), default=0) for column in zip(*cells, strict=True)]
        lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        lines += ["", f"noise (standard deviation): {', '.join(map(' '.join, self.noise_in_words()))}"]
        lines.append(f"measured: {', '.join(self._ranges())}; of values beyond, the equations are a guess")
        if np.isfinite(self.confidence):
            lines.append(
                f"support: {100 * self.confidence:.1f} % among it and its neighbours, if the truth is in this library"
            )
            lines += [f"  next: {a.change} (criterion {a.price:+.1f})" for a in self.alternatives[:3]]
        lines += [f"known beforehand: {line}" for line in self.knowledge]
        if self.groups:
            lines.append(f"conditions: {self.conditions_in_words()}")
        lines += [f"left out: {line}" for line in at_most(self.left_out)]
        lines += [f"caution: {line}" for line in self.caveats]
        return "\n".join(lines)

    def each_coefficient(self) -> list[tuple[int, int, str, DiscoveredModel]]:
        """Return equation, term, condition and what holds there of all coefficients; "" for those that are shared."""
        models = self.of_each_group
        return [
            (int(k), int(m), label if self.varying[k, m] else "", own)
            for k, m in np.argwhere(self.support)
            for label, own in (models if self.varying[k, m] else models[:1])
        ]

    def conditions_in_words(self) -> str:
        """Return which conditions there are, and what varies by them."""
        labels = ", ".join(group.label for group in self.groups)
        varies = describe_coefficients(self.library, [(int(k), int(m)) for k, m in np.argwhere(self.varying)])
        return f"{labels}; by them {f'varies {varies}' if varies else 'no coefficient varies'}"

    def _ranges(self) -> list[str]:
        """Return from where to where each variable went."""
        every = np.concatenate(self.denoised)
        ends = zip(self.names, np.nanmin(every, axis=0), np.nanmax(every, axis=0), strict=True)
        return [f"{name} {_range(float(low), float(high))}" for name, low, high in ends]

    def noise_in_words(self) -> list[tuple[str, str]]:
        """Return each measured variable, and the standard deviation of its samples."""
        kinds = self.noise_kinds or ("constant",) * len(self.names)
        factors = self.noise_factors if len(self.noise_factors) else self.noise
        words = {
            "proportional": "{1:.3g} % of its value",
            "poisson": "{0:.3g} times the square root of its value",
            "given": "{0:.3g} times what was given",
        }
        return [
            (name, words.get(kind, "{2:.3g}").format(factor, 100 * factor, size))
            for name, kind, factor, size in zip(self.names, kinds, factors, self.noise, strict=True)
            if np.isfinite(size)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "method": self.method,
            "variables": list(self.names),
            "inputs": list(self.inputs),
            "term_names": list(self.term_names),
            "terms": self.terms.tolist(),
            "equations": self.equations(),
            "coefficients": [
                {"equation": self.names[k], "term": self.term_names[m]}
                | self._told(k, m)
                | (
                    {"groups": [{"group": label} | own._told(k, m) for label, own in self.of_each_group]}
                    if self.varying[k, m]
                    else {}
                )
                for k, m in np.argwhere(self.support)
            ],
            "groups": [{"group": group.label, "trajectories": list(group.trajectories)} for group in self.groups],
            "unknowns": [
                {"term": term, "unknown": name, "value": value, "low": low, "high": high}
                for term, name, value, low, high in self.unknowns()
            ],
            "noise": [None if np.isnan(s) else float(s) for s in self.noise],
            "noise_kinds": list(self.noise_kinds),
            "noise_factors": [None if np.isnan(s) else float(s) for s in self.noise_factors],
            "initial": self.initial.tolist(),
            "criterion": _number(self.criterion),
            "support_confidence": _number(self.confidence),
            "alternatives": [{"change": a.change, "price": a.price} for a in self.alternatives],
            "caveats": list(self.caveats),
            "left_out": list(self.left_out),
            "knowledge": list(self.knowledge),
            "seconds": _number(self.elapsed),
        }

    def _told(self, k: int, m: int) -> dict[str, float | None]:
        """Return value, error and interval of a coefficient; nothing where it varies by group."""
        low, high = self.intervals()[k, m]
        return {
            "value": _number(self.coefficients[k, m]),
            "standard_error": _number(self.standard_errors[k, m]),
            "low": _number(low),
            "high": _number(high),
        }


def _product(factor: str, term: str) -> str:
    """Return ``1.5 x``, ``1.5/(1 + x)`` of 1/(1 + x), ``1.5*2**x``, ``1.5 (x - y)``: as it is read."""
    if term == "1":
        return factor
    try:
        tree = ast.parse(term.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError):
        # A function of Python may be called anything.
        return f"{factor} {term}"
    if isinstance(tree, ast.UnaryOp) or (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub)):
        return f"{factor} ({term})"
    if re.match(r"1\s*/", term):
        return f"{factor}{term[1:]}"
    return f"{factor}*{term}" if re.match(r"[\d.]", term) else f"{factor} {term}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def describe_coefficients(library: Library, entries: Sequence[tuple[int, int]]) -> str:
    """Return "x*y in dx/dt, y in dy/dt"."""
    return ", ".join(f"{library.names[m]} in d{library.states[k]}/dt" for k, m in entries)


def _range(low: float, high: float) -> str:
    """Return two ends with as many digits as tell them apart, and none of what is zero but for rounding."""
    width, largest = high - low, max(abs(low), abs(high))
    digits = 3
    if width > 0:
        low, high = (0.0 if abs(end) < 1e-3 * width else end for end in (low, high))
        digits += min(max(0, math.ceil(math.log10(largest / width))), 12)
    return f"{low:.{digits}g} to {high:.{digits}g}"
