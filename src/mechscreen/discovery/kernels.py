"""Compiled kernels of the collocation solver: library values, local equations, block-tridiagonal elimination.

Notation: N nodes of d variables, M library terms, P free coefficients. Node i and i + 1 bound interval i of width
``h[i]``; ``h[i] = 0`` marks the seam between two trajectories, which carries no equation.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def monomials(x, exponents):  # type: ignore[no-untyped-def]
    """Values (N, M) and derivatives (N, M, d) of the monomials ``prod_j x_j^e_mj`` at states x (N, d)."""
    n, d = x.shape
    m = exponents.shape[0]
    top = 1
    for a in range(m):
        for j in range(d):
            top = max(top, exponents[a, j])
    values = np.empty((n, m))
    slopes = np.empty((n, m, d))
    powers = np.empty((d, top + 1))
    for i in range(n):
        for j in range(d):
            powers[j, 0] = 1.0
            for e in range(1, top + 1):
                powers[j, e] = powers[j, e - 1] * x[i, j]
        for a in range(m):
            product = 1.0
            for j in range(d):
                product *= powers[j, exponents[a, j]]
            values[i, a] = product
            for j in range(d):
                e = exponents[a, j]
                if e == 0:
                    slopes[i, a, j] = 0.0
                else:
                    slope = e * powers[j, e - 1]
                    for k in range(d):
                        if k != j:
                            slope *= powers[k, exponents[a, k]]
                    slopes[i, a, j] = slope
    return values, slopes


@njit(cache=True)
def monomial_values(x, exponents):  # type: ignore[no-untyped-def]
    """Values (N, M) of the monomials ``prod_j x_j^e_mj`` at states x (N, d)."""
    n, d = x.shape
    values = np.ones((n, exponents.shape[0]))
    for i in range(n):
        for a in range(exponents.shape[0]):
            for j in range(d):
                for _ in range(exponents[a, j]):
                    values[i, a] *= x[i, j]
    return values


@njit(cache=True)
def right_hand_side(values, slopes, theta):  # type: ignore[no-untyped-def]
    """Rates f (N, d) and Jacobians (N, d, d) from library values (N, M), slopes (N, M, d) and theta (d, M)."""
    n, m = values.shape
    d = theta.shape[0]
    f = np.zeros((n, d))
    jacobian = np.zeros((n, d, d))
    for i in range(n):
        for k in range(d):
            for a in range(m):
                c = theta[k, a]
                if c != 0.0:
                    f[i, k] += c * values[i, a]
                    for j in range(d):
                        jacobian[i, k, j] += c * slopes[i, a, j]
    return f, jacobian


@njit(cache=True)
def _rate(x, exponents, theta, out):  # type: ignore[no-untyped-def]
    out[:] = 0.0
    for a in range(exponents.shape[0]):
        product = 1.0
        for j in range(x.shape[0]):
            for _ in range(exponents[a, j]):
                product *= x[j]
        for k in range(x.shape[0]):
            out[k] += theta[k, a] * product


@njit(cache=True)
def integrate(anchors, first, h, exponents, theta, parts):  # type: ignore[no-untyped-def]
    """Solutions (N, d) of polynomial equations at the nodes, from anchors (n, d) at the nodes `first` (n + 1,).

    Runge–Kutta of order 4, `parts` steps an interval. Infinite from where a solution blows up.
    """
    n, d = anchors.shape
    out = np.empty((first[n], d))
    k1, k2, k3, k4 = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    for i in range(n):
        x = anchors[i].copy()
        out[first[i]] = x
        for node in range(first[i] + 1, first[i + 1]):
            step = h[node - 1] / parts
            for _ in range(parts):
                _rate(x, exponents, theta, k1)
                _rate(x + 0.5 * step * k1, exponents, theta, k2)
                _rate(x + 0.5 * step * k2, exponents, theta, k3)
                _rate(x + step * k3, exponents, theta, k4)
                x += step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            out[node] = x
            if not np.isfinite(x).all():
                out[node:] = np.inf
                return out
    return out


@njit(cache=True)
def midpoints(x, f, h):  # type: ignore[no-untyped-def]
    """States at the interval midpoints (N − 1, d) by cubic Hermite interpolation."""
    n, d = x.shape
    out = np.empty((n - 1, d))
    for i in range(n - 1):
        for j in range(d):
            out[i, j] = 0.5 * (x[i, j] + x[i + 1, j]) + 0.125 * h[i] * (f[i, j] - f[i + 1, j])
    return out


@njit(cache=True)
def misfit(x, f, f_mid, h, rows, factor, target):  # type: ignore[no-untyped-def]
    """Sum of squares of the data residuals (d,) and of the defects divided by their interval width (d,).

    The data of interval i and variable k are ``factor[i, k] @ b − target[i, k]`` (``rows[i, k]`` rows) with
    ``b = (x_i, h f_i, x_{i+1}, h f_{i+1})``, the cubic Hermite basis; see `compress`.
    """
    n, d = x.shape
    data = np.zeros(d)
    defects = np.zeros(d)
    for i in range(n - 1):
        if h[i] <= 0.0:
            continue
        for k in range(d):
            c = x[i + 1, k] - x[i, k] - h[i] / 6.0 * (f[i, k] + 4.0 * f_mid[i, k] + f[i + 1, k])
            defects[k] += c * c / h[i]
            for a in range(rows[i, k]):
                r = (
                    factor[i, k, a, 0] * x[i, k]
                    + factor[i, k, a, 1] * h[i] * f[i, k]
                    + factor[i, k, a, 2] * x[i + 1, k]
                    + factor[i, k, a, 3] * h[i] * f[i + 1, k]
                    - target[i, k, a]
                )
                data[k] += r * r
    return data, defects


@njit(cache=True)
def assemble(  # type: ignore[no-untyped-def]
    x,
    h,
    values,
    f,
    jacobian,
    values_mid,
    f_mid,
    jacobian_mid,
    rows,
    factor,
    target,
    weight,
    precision,
    entry_column,
    entry_equation,
    entry_term,
    entry_weight,
    n_columns,
):
    """Local least-squares equations of all intervals, as normal equations in the states.

    `weight` (d,) multiplies the defects' squares over h, `precision` (d,) the data residuals' squares. Coefficient
    column p contributes ``entry_weight · values[entry_term]`` to equation `entry_equation` for its entries.

    Returns
    -------
    diagonal (N, d, d), coupling (N − 1, d, d)
        Blocks of the normal matrix of the states.
    border (N, d, P + 1)
        Its coupling with the coefficients; the last column is the gradient.
    tall (n_rows, P + 1)
        The coefficients' own rows, residual last, so that ``tall.T @ tall`` is their normal matrix.
    """
    n, d = x.shape
    p = n_columns
    total = 0
    for i in range(n - 1):
        if h[i] > 0.0:
            total += d
            for k in range(d):
                total += rows[i, k]
    diagonal = np.zeros((n, d, d))
    coupling = np.zeros((n - 1, d, d))
    border = np.zeros((n, d, p + 1))
    tall = np.zeros((total, p + 1))
    n_entries = entry_column.shape[0]
    g0 = np.zeros((d, p))
    g1 = np.zeros((d, p))
    gm = np.zeros((d, p))
    left = np.empty(d)
    right = np.empty(d)
    a_mid = np.empty((d, d))
    b_mid = np.empty((d, d))
    row = 0
    for i in range(n - 1):
        w = h[i]
        if w <= 0.0:
            continue
        g0[:] = 0.0
        g1[:] = 0.0
        gm[:] = 0.0
        for q in range(n_entries):
            column = entry_column[q]
            k = entry_equation[q]
            a = entry_term[q]
            g0[k, column] += entry_weight[q] * values[i, a]
            g1[k, column] += entry_weight[q] * values[i + 1, a]
            gm[k, column] += entry_weight[q] * values_mid[i, a]
        for k in range(d):
            for j in range(d):
                s0 = 0.0
                s1 = 0.0
                for u in range(d):
                    s0 += jacobian_mid[i, k, u] * jacobian[i, u, j]
                    s1 += jacobian_mid[i, k, u] * jacobian[i + 1, u, j]
                a_mid[k, j] = 0.5 * jacobian_mid[i, k, j] + 0.125 * w * s0
                b_mid[k, j] = 0.5 * jacobian_mid[i, k, j] - 0.125 * w * s1
        for k in range(d):
            scale = np.sqrt(weight[k] / w)
            for j in range(d):
                left[j] = -scale * w / 6.0 * (jacobian[i, k, j] + 4.0 * a_mid[k, j])
                right[j] = -scale * w / 6.0 * (jacobian[i + 1, k, j] + 4.0 * b_mid[k, j])
            left[k] -= scale
            right[k] += scale
            for q in range(p):
                tall[row, q] = g0[k, q] + g1[k, q] + 4.0 * gm[k, q]
            for u in range(d):
                # Of many variables, each acts on few.
                c = 0.5 * w * jacobian_mid[i, k, u]
                if c != 0.0:
                    for q in range(p):
                        tall[row, q] += c * (g0[u, q] - g1[u, q])
            for q in range(p):
                tall[row, q] *= -scale * w / 6.0
            tall[row, p] = scale * (x[i + 1, k] - x[i, k] - w / 6.0 * (f[i, k] + 4.0 * f_mid[i, k] + f[i + 1, k]))
            _add_row(diagonal, coupling, border, tall, i, row, left, right, d, p)
            row += 1
        for k in range(d):
            scale = np.sqrt(precision[k])
            for a in range(rows[i, k]):
                r0 = factor[i, k, a, 0] * scale
                r1 = factor[i, k, a, 1] * scale * w
                r2 = factor[i, k, a, 2] * scale
                r3 = factor[i, k, a, 3] * scale * w
                for j in range(d):
                    left[j] = r1 * jacobian[i, k, j]
                    right[j] = r3 * jacobian[i + 1, k, j]
                left[k] += r0
                right[k] += r2
                for q in range(p):
                    tall[row, q] = r1 * g0[k, q] + r3 * g1[k, q]
                tall[row, p] = (
                    r0 * x[i, k] + r1 * f[i, k] + r2 * x[i + 1, k] + r3 * f[i + 1, k] - scale * target[i, k, a]
                )
                _add_row(diagonal, coupling, border, tall, i, row, left, right, d, p)
                row += 1
    return diagonal, coupling, border, tall


@njit(cache=True, inline="always")
def _add_row(diagonal, coupling, border, tall, i, row, left, right, d, p):  # type: ignore[no-untyped-def]
    for j in range(d):
        lj = left[j]
        rj = right[j]
        if lj == 0.0 and rj == 0.0:
            continue
        for k in range(d):
            diagonal[i, j, k] += lj * left[k]
            diagonal[i + 1, j, k] += rj * right[k]
            coupling[i, j, k] += lj * right[k]
        if lj != 0.0:
            for q in range(p + 1):
                border[i, j, q] += lj * tall[row, q]
        if rj != 0.0:
            for q in range(p + 1):
                border[i + 1, j, q] += rj * tall[row, q]


@njit(cache=True)
def eliminate(diagonal, coupling, border, damping):  # type: ignore[no-untyped-def]
    """Block Cholesky of the states' normal matrix; `border` becomes ``L⁻¹ border`` in place.

    `damping` is added to the diagonal. Returns the Cholesky blocks (N, d, d), the off-diagonal blocks
    ``L_i⁻¹ coupling_i`` (N − 1, d, d) and whether the matrix was positive definite.
    """
    n, d, q = border.shape
    lower = np.zeros((n, d, d))
    upper = np.zeros((n - 1, d, d))
    block = np.empty((d, d))
    for i in range(n):
        for j in range(d):
            for k in range(d):
                block[j, k] = diagonal[i, j, k]
            block[j, j] += damping
        if i > 0:
            for j in range(d):
                for k in range(d):
                    s = 0.0
                    for u in range(d):
                        s += upper[i - 1, u, j] * upper[i - 1, u, k]
                    block[j, k] -= s
                for u in range(d):
                    c = upper[i - 1, u, j]
                    for k in range(q):
                        border[i, j, k] -= c * border[i - 1, u, k]
        for j in range(d):
            for k in range(j + 1):
                s = block[j, k]
                for u in range(k):
                    s -= lower[i, j, u] * lower[i, k, u]
                if j == k:
                    if not s > 0.0:
                        return lower, upper, False
                    lower[i, j, j] = np.sqrt(s)
                else:
                    lower[i, j, k] = s / lower[i, k, k]
        for j in range(d):
            for u in range(j):
                c = lower[i, j, u]
                for k in range(q):
                    border[i, j, k] -= c * border[i, u, k]
            inverse = 1.0 / lower[i, j, j]
            for k in range(q):
                border[i, j, k] *= inverse
        if i < n - 1:
            for j in range(d):
                for k in range(d):
                    s = coupling[i, j, k]
                    for u in range(j):
                        s -= lower[i, j, u] * upper[i, u, k]
                    upper[i, j, k] = s / lower[i, j, j]
    return lower, upper, True


@njit(cache=True)
def back_substitute(lower, upper, border, step):  # type: ignore[no-untyped-def]
    """State step (N, d) that goes with the coefficients' step (P,): minimises the quadratic model over the states."""
    n, d, q = border.shape
    p = q - 1
    out = np.zeros((n, d))
    for i in range(n - 1, -1, -1):
        for j in range(d):
            s = -border[i, j, p]
            for k in range(p):
                s -= border[i, j, k] * step[k]
            if i < n - 1:
                for k in range(d):
                    s -= upper[i, j, k] * out[i + 1, k]
            out[i, j] = s
        for j in range(d - 1, -1, -1):
            s = out[i, j]
            for u in range(j + 1, d):
                s -= lower[i, u, j] * out[i, u]
            out[i, j] = s / lower[i, j, j]
    return out


@njit(cache=True)
def compress(interval, position, observed, errors, n_intervals, h):  # type: ignore[no-untyped-def]
    """Compress the samples of each interval to at most four rows by Householder-free QR (Givens rotations).

    Sample s lies in `interval[s]` at relative `position[s]` in [0, 1] with values `observed[s]` (d,), NaN where
    missing, and counts by one over the square of `errors[s]` (d,). Its prediction is the cubic Hermite interpolant,
    linear in ``(x_i, h f_i, x_{i+1}, h f_{i+1})``.

    Returns rows (N − 1, d), factor (N − 1, d, 4, 4), target (N − 1, d, 4), rest (d,) — the part of the sum of squares
    that no states can reduce — and the number of samples used per variable (d,).
    """
    n, d = observed.shape
    rows = np.zeros((n_intervals, d), dtype=np.int64)
    factor = np.zeros((n_intervals, d, 4, 4))
    target = np.zeros((n_intervals, d, 4))
    rest = np.zeros(d)
    counts = np.zeros(d, dtype=np.int64)
    b = np.empty(4)
    for s in range(n):
        i = interval[s]
        z = position[s]
        for k in range(d):
            y = observed[s, k]
            if np.isnan(y):
                continue
            counts[k] += 1
            b[0] = (1.0 + 2.0 * z) * (1.0 - z) ** 2
            b[1] = z * (1.0 - z) ** 2
            b[2] = z * z * (3.0 - 2.0 * z)
            b[3] = z * z * (z - 1.0)
            y /= errors[s, k]
            b /= errors[s, k]
            for a in range(4):
                if b[a] == 0.0:
                    continue
                pivot = factor[i, k, a, a]
                if pivot == 0.0:
                    for c in range(a, 4):
                        factor[i, k, a, c] = b[c]
                    target[i, k, a] = y
                    y = 0.0
                    break
                r = np.hypot(pivot, b[a])
                cosine = pivot / r
                sine = b[a] / r
                for c in range(a, 4):
                    old = factor[i, k, a, c]
                    factor[i, k, a, c] = cosine * old + sine * b[c]
                    b[c] = cosine * b[c] - sine * old
                old = target[i, k, a]
                target[i, k, a] = cosine * old + sine * y
                y = cosine * y - sine * old
            rest[k] += y * y
    for i in range(n_intervals):
        for k in range(d):
            filled = 0
            for a in range(4):
                if factor[i, k, a, a] != 0.0:
                    if a != filled:
                        factor[i, k, filled] = factor[i, k, a]
                        target[i, k, filled] = target[i, k, a]
                        factor[i, k, a] = 0.0
                        target[i, k, a] = 0.0
                    filled += 1
            rows[i, k] = filled
    return rows, factor, target, rest, counts


@njit(cache=True)
def smooth(rows, factor, target, rest, count, h, ratio):  # type: ignore[no-untyped-def]
    """Cubic smoothing spline of one variable on the nodes, and the evidence for its stiffness.

    The prior is a once-integrated Wiener process of intensity `ratio` times the noise variance (Wahba 1978); data
    as in `compress`, for one variable: rows (N − 1,), factor (N − 1, 4, 4), target (N − 1, 4). A trajectory with one
    sample says nothing of slopes: there the spline is that value; without any sample, zero.

    Returns values (N,), slopes (N,), the noise variance and minus twice the log evidence at that variance.
    """
    n = h.shape[0] + 1
    diagonal = np.zeros((n, 2, 2))
    coupling = np.zeros((n - 1, 2, 2))
    border = np.zeros((n, 2, 1))
    left = np.empty(2)
    right = np.empty(2)
    log_prior = 0.0
    total = rest
    chains = 0
    level = np.full(n, np.nan)
    first = 0
    for last in range(n):
        if last < n - 1 and h[last] > 0.0:
            continue
        seen = 0
        for i in range(first, last):
            seen += rows[i]
        if seen >= 2:
            chains += 1
        else:
            level[first : last + 1] = 0.0
            count -= seen
            for i in range(first, last):
                if rows[i]:
                    level[first : last + 1] = target[i, 0] / (factor[i, 0, 0] + factor[i, 0, 2])
        first = last + 1
    for i in range(n):
        tiny = 1e-12 if np.isnan(level[i]) else 1.0
        diagonal[i, 0, 0] = tiny
        diagonal[i, 1, 1] = tiny
    for i in range(n - 1):
        w = h[i]
        if w <= 0.0 or not np.isnan(level[i]):
            continue
        # Whitened increments: (x1 − x0 − w v0, v1 − v0) ~ N(0, ratio [[w³/3, w²/2], [w²/2, w]]).
        root = np.sqrt(ratio * w)
        log_prior += 2.0 * np.log(ratio) + 4.0 * np.log(w) - np.log(12.0)
        for part in range(2):
            if part == 0:
                left[0] = 0.0
                left[1] = -1.0 / root
                right[0] = 0.0
                right[1] = 1.0 / root
            else:
                s = np.sqrt(12.0) / (root * w)
                left[0] = -s
                left[1] = -s * w / 2.0
                right[0] = s
                right[1] = -s * w / 2.0
            for j in range(2):
                for k in range(2):
                    diagonal[i, j, k] += left[j] * left[k]
                    diagonal[i + 1, j, k] += right[j] * right[k]
                    coupling[i, j, k] += left[j] * right[k]
        for a in range(rows[i]):
            left[0] = factor[i, a, 0]
            left[1] = factor[i, a, 1] * w
            right[0] = factor[i, a, 2]
            right[1] = factor[i, a, 3] * w
            y = target[i, a]
            total += y * y
            for j in range(2):
                border[i, j, 0] -= left[j] * y
                border[i + 1, j, 0] -= right[j] * y
                for k in range(2):
                    diagonal[i, j, k] += left[j] * left[k]
                    diagonal[i + 1, j, k] += right[j] * right[k]
                    coupling[i, j, k] += left[j] * right[k]
    lower, upper, _ = eliminate(diagonal, coupling, border, 0.0)
    log_posterior = 0.0
    for i in range(n):
        log_posterior += 2.0 * (np.log(lower[i, 0, 0]) + np.log(lower[i, 1, 1]))
        total -= border[i, 0, 0] ** 2 + border[i, 1, 0] ** 2
    freedom = max(count - 2 * chains, 1)
    variance = max(total, 1e-300) / freedom
    evidence = freedom * np.log(variance) + log_posterior + log_prior
    states = back_substitute(lower, upper, border, np.zeros(0))
    for i in range(n):
        if not np.isnan(level[i]):
            states[i, 0] = level[i]
    return states[:, 0], states[:, 1], variance, evidence


@njit(cache=True)
def propagate(step, starts):  # type: ignore[no-untyped-def]
    """Carry changes of the states from node to node, (N, d, d + P), from none but the starts' own at `starts`.

    ``step`` (N − 1, d, d + P): how a change at node i goes on to node i + 1, and what is added on the way.
    """
    n, d, width = step.shape
    out = np.zeros((n + 1, d, width))
    begins = np.zeros(n + 1, dtype=np.bool_)
    for start in starts:
        begins[start] = True
    for i in range(n + 1):
        if begins[i]:
            for k in range(d):
                out[i, k, k] = 1.0
            continue
        for k in range(d):
            for q in range(width):
                total = step[i - 1, k, q] if q >= d else 0.0
                for j in range(d):
                    total += step[i - 1, k, j] * out[i - 1, j, q]
                out[i, k, q] = total
    return out
