"""Constants of equations whose form is known, by least squares on solutions: what a discovery could reach at most."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import sympy
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from discovery_study.formula import Dynamics
from mechscreen.discovery.library import FloatArray

FAR = 1e3
"""Residual where a solution does not reach a sample."""


def parametrise(dynamics: Dynamics) -> tuple[list[sympy.Expr], list[sympy.Symbol], FloatArray]:
    """Return the right-hand sides with a symbol for each constant, the symbols, and their values (p,).

    Constants are the factor of each term of the expanded sum, and every number within a term that is not whole.
    """
    symbols: list[sympy.Symbol] = []
    values: list[float] = []

    def free(value: sympy.Expr) -> sympy.Symbol:
        symbols.append(sympy.Symbol(f"p_{len(symbols)}", real=True))
        values.append(float(value))
        return symbols[-1]

    def inner(expression: sympy.Expr) -> sympy.Expr:
        if expression.is_Float:
            return free(expression)
        return expression.func(*map(inner, expression.args)) if expression.args else expression

    forms = []
    for expression in dynamics.expressions:
        terms = (term.as_coeff_Mul() for term in sympy.Add.make_args(sympy.expand(expression)))
        forms.append(sympy.Add(*(free(factor) * inner(rest) for factor, rest in terms)))
    return forms, symbols, np.array(values)


def refit(
    dynamics: Dynamics, start: Sequence[float], t: FloatArray, y: FloatArray, noise: float
) -> tuple[Dynamics, float]:
    """Return the equations with constants fitted to one trajectory, and the processor seconds.

    The initial state is fitted, too; the search begins at the true values, so that it ends in the optimum nearest to
    them. Noise is in proportion to the values; where it is zero, distances are weighted alike.
    """
    began = time.process_time()
    forms, symbols, values = parametrise(dynamics)
    states = [sympy.Symbol(name, real=True) for name in dynamics.variables]
    rate = sympy.lambdify([states, symbols], forms, "numpy", cse=True)
    size = np.sqrt((y**2).mean(axis=0))
    weight = np.maximum(np.abs(y), 0.05 * size) * max(noise, 1e-3)
    scale = np.concatenate([np.maximum(np.abs(values), 1e-3), size])

    def residuals(unknown: FloatArray) -> FloatArray:
        constants, first = np.split(unknown * scale, [len(values)])
        out = np.full(y.shape, FAR)
        with np.errstate(all="ignore"):
            # The first sample may be later than the start of the solution; the state is that at the first sample.
            path = solve_ivp(
                lambda _, x: rate(x, constants), (t[0], t[-1]), first, method="LSODA", t_eval=t, rtol=1e-7, atol=1e-9
            ).y.T
        reached = np.isfinite(path).all(axis=1)
        out[: len(path)][reached] = np.clip((path - y[: len(path)]) / weight[: len(path)], -FAR, FAR)[reached]
        return out.ravel()

    exact = dynamics.solve(start, np.append(0.0, t[t > 0]))
    first = exact[0] if t[0] == 0 else exact[1]
    found = least_squares(residuals, np.concatenate([values, first]) / scale, x_scale="jac", max_nfev=50)
    constants = dict(zip(symbols, found.x[: len(values)] * scale[: len(values)], strict=True))
    fitted = Dynamics(dynamics.variables, tuple(str(form.subs(constants)) for form in forms))
    return fitted, time.process_time() - began
