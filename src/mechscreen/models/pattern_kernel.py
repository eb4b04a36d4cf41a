"""Compiled solver of the pattern model; the equations are in `mechscreen.models.pattern`.

One parameter set is solved after another; the loops run along the radius, so that a result depends on its own
parameters alone. All compiled code stands in this one file, because Numba renews a cached binary only when the file
that holds the entry point, `_solve_all`, has changed.

Space is discretised as in the published procedure. In time, (C, U, W, R), N and A take steps of the third-order
additive Runge–Kutta method ARK3(2)4L[2]SA (Kennedy & Carpenter 2003, Appl. Numer. Math. 44:139): diffusion of C and
decay of A implicitly, everything else explicitly, with the step chosen by the embedded second-order error estimate.
Ahead of the colony, where T grows exponentially over many orders of magnitude, that growth is an integrating factor
(Lawson 1967, SIAM J. Numer. Anal. 4:372), so that its error does not depend on the step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

# --- Runge–Kutta coefficients ---------------------------------------------------------------------------------------

STAGES = 4
GAMMA = 1767732205903 / 4055673282236
EXPLICIT = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [1767732205903 / 2027836641118, 0.0, 0.0, 0.0],
        [5535828885825 / 10492691773637, 788022342437 / 10882634858940, 0.0, 0.0],
        [6485989280629 / 16251701735622, -4246266847089 / 9704473918619, 10755448449292 / 10357097424841, 0.0],
    ]
)
IMPLICIT = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [GAMMA, GAMMA, 0.0, 0.0],
        [2746238789719 / 10658868560708, -640167445237 / 6845629431997, GAMMA, 0.0],
        [1471266399579 / 7840856788654, -4482444167858 / 7529755066697, 11266239266428 / 11593286722821, GAMMA],
    ]
)
NODES = EXPLICIT.sum(axis=1)
WEIGHTS = IMPLICIT[3].copy()
ERROR_WEIGHTS = WEIGHTS - np.array(
    [
        2756255671327 / 12835298489170,
        -10771552573575 / 22201958757719,
        9247589265047 / 10645013368117,
        2193209047091 / 5459859503100,
    ]
)

# --- Choices of the solver ------------------------------------------------------------------------------------------

FIRST_STEP = 0.02
LONGEST_STEP = 10.0
SHORTEST_STEP = 1e-7
CUTOFF = 1e-40  # cell density at which the active region ends while cells can still grow,
LATE_CUTOFF = 1e-15  # and when they no longer can
MARGIN = 16  # points by which the cells stay clear of the active region's end
GROWTH = 32  # points by which it grows
BLOCK = 32  # points among which the front is looked for at once
COURANT = 1.0  # most h·λ of the explicit transport, whose eigenvalues are ±iλ; stable up to 2.48, inaccurate before
STEPS_PER_OCTAVE = 8  # steps are powers of 2^(1/8), so that the factors of the diffusion matrix can be kept
KEPT_STEPS = 16  # for so many of them; one more for the steps that land on a given time
SEGMENTS = 4  # parts of the radius whose sweeps run side by side; `_diffuse` is written for four
NEAR = 64  # points behind the front where φ may change too fast to be interpolated
LARGEST_SPAN = 4.0  # cells over which the front's staircase is averaged at most
TINY = 1e-300
CELLS = 1e-3  # density from which a point counts fully in the error estimate,
ALIVE = 1e-3  # and T from which it does so too
NO_CELLS = 1e-7  # density below which nothing is carried with the cells,
LITTLE_T = 1e-2  # and T below which it does not slow its own growth
EDGE_LOW, EDGE_HIGH = 1e-10, 0.1  # values of T between which its relative error is watched,
EDGE_TOLERANCE = 100.0  # and allowed to be so many times the tolerance
ROUNDING = 1e-10  # of G11: errors of U and W that are rounding errors of the published formula
FAR_LIMIT = 1e300  # no more is needed for the smallest initial T to come to matter
SWITCH_TIME = 10.0  # φ = 1 until then
MEMBRANE = 1e-5  # the constant beside C in the carrying velocity

# Results of one parameter set.
SOLVED, STEP_TOO_SHORT = 0, 1

_FAST = {"contract", "nsz", "arcp"}
# Sums may be split over SIMD lanes; NaN still spreads through them, which is how a failed step is noticed.
_SUM = {*_FAST, "reassoc"}
# Inlined into the entry point: otherwise the process that compiles runs the functions' own machine code, a process that
# loads the cached binary runs that binary's copies, and the two round differently.
_jit = njit(fastmath=_FAST, error_model="numpy", nogil=True, forceinline=True)
_jit_sum = njit(fastmath=_SUM, error_model="numpy", nogil=True, forceinline=True)


@_jit
def _points(first, last):  # type: ignore[no-untyped-def]
    """Return the indices from `first` to `last`, unsigned, so that Numba need not ask which count from the end.

    Where it asks, the compiler gathers values one by one, and the loop is three times slower.
    """
    return range(np.uint64(first), np.uint64(last + 1))


# --- Powers, in a form that the compiler turns into SIMD code -------------------------------------------------------


@intrinsic
def _bits(typing_context: Any, x: Any) -> Any:
    """Return the bits of a float64 as an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _from_bits(typing_context: Any, x: Any) -> Any:
    """Return the float64 that has the bits of an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _log2(x):  # type: ignore[no-untyped-def]
    """Logarithm of a positive normal number, within 1e-13 of its exact value."""
    bits = _bits(x)
    exponent = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)  # mantissa in [√½, √2)
    mantissa = _from_bits(bits - (exponent << np.int64(52)))
    t = (mantissa - 1.0) / (mantissa + 1.0)
    s = t * t
    series = 1.0 + s * (1 / 3 + s * (1 / 5 + s * (1 / 7 + s * (1 / 9 + s * (1 / 11 + s * (1 / 13 + s * (1 / 15)))))))
    return np.float64(exponent) + t * series * 2.8853900817779268  # 2 / ln 2


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _exp2(x):  # type: ignore[no-untyped-def]
    """2**x for |x| ≤ 1000, within a relative error of 1e-12."""
    rounder = 6755399441055744.0  # 1.5 · 2^52: adding it rounds to an integer that stands in the low bits
    shifted = x + rounder
    t = (x - (shifted - rounder)) * 0.6931471805599453
    series = 1 + t * (
        1
        + t
        * (
            1 / 2
            + t
            * (
                1 / 6
                + t
                * (
                    1 / 24
                    + t
                    * (
                        1 / 120
                        + t * (1 / 720 + t * (1 / 5040 + t * (1 / 40320 + t * (1 / 362880 + t * (1 / 3628800)))))
                    )
                )
            )
        )
    )
    return _from_bits(_bits(series) + (_bits(shifted) << np.int64(52)))


@_jit
def _capacity(distance, log_half, exponent):  # type: ignore[no-untyped-def]
    """Gene-expression capacity φ at a positive distance behind the front; `log_half` is log2(Kφ)."""
    power = exponent * (_log2(distance) - log_half)
    return 1.0 / (1.0 + _exp2(min(max(power, -1000.0), 1000.0)))


@_jit
def _tabulate_capacity(table, log_half, exponent, spacing):  # type: ignore[no-untyped-def]
    """Write φ at multiples of the spacing, the farthest first: table[j] stands for table.size − j of them."""
    for j in range(table.size):
        table[j] = _capacity((table.size - j) * spacing, log_half, exponent)


@_jit
def _fill_capacity(phi, table, front, log_half, exponent, spacing, active):  # type: ignore[no-untyped-def]
    """Write φ of every active point for a front at radius `front`.

    Far behind the front it is interpolated in the table (four points), near it computed.
    """
    cells = math.floor(front / spacing)
    x = front / spacing - cells  # of the way from one multiple of the spacing to the next
    w0, w1 = -x * (x - 1.0) * (x - 2.0) / 6.0, (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0
    w2, w3 = -(x + 1.0) * x * (x - 2.0) / 2.0, (x + 1.0) * x * (x - 1.0) / 6.0
    far = min(max(cells - NEAR, 0), active)
    near = table[table.size - cells - 2 :]
    for i in range(far):
        phi[i + 1] = w0 * near[i + 3] + w1 * near[i + 2] + w2 * near[i + 1] + w3 * near[i]
    behind = min(active, math.ceil(front / spacing))
    for i in range(far, behind):
        phi[i + 1] = _capacity(front - i * spacing, log_half, exponent)
    ahead = 1.0 if exponent > 0 else 0.5
    for i in range(behind, active):
        phi[i + 1] = ahead


# --- The front ------------------------------------------------------------------------------------------------------


@_jit
def _front_position(C, active, points):  # type: ignore[no-untyped-def]
    """Index, with a fraction, at which C first falls below 0.9 of its maximum."""
    # The bits of positive numbers, taken for integers, are in the same order, and integers compare in SIMD lanes.
    highest = _bits(C[1])
    for i in _points(2, active):
        highest = max(highest, _bits(C[i]))
    level = 0.9 * _from_bits(highest)
    bits, first = _bits(level), 0
    while first + BLOCK < active:
        lowest = bits
        for i in _points(first + 1, first + BLOCK):
            lowest = min(lowest, _bits(C[i]))
        if lowest < bits:
            break
        first += BLOCK
    for i in range(first, active):
        if C[i + 1] < level:
            if i == 0:
                return -0.5
            return i - 1 + (C[i] - level) / (C[i] - C[i + 1])
    return points - 1.5


@_jit
def _integral_of_floor(x):  # type: ignore[no-untyped-def]
    whole = math.floor(x)
    return 0.5 * whole * (whole - 1) + whole * (x - whole)


@_jit
def _mean_front_index(position, span):  # type: ignore[no-untyped-def]
    """Mean of the published front index (one-based) over positions that reach `span` / 2 to either side.

    The published front is the first grid point below the level: a staircase in time. Averaged over the cells that
    the front crosses during a step it is nearly a straight line; for a front that stands still it is the staircase
    itself.
    """
    if span < 1e-3:
        return math.floor(position) + 2.0
    low, high = position - 0.5 * span, position + 0.5 * span
    return (_integral_of_floor(high) - _integral_of_floor(low)) / span + 2.0


# --- Diffusion ------------------------------------------------------------------------------------------------------


@_jit
def _factorise(z, west, east, factors, points):  # type: ignore[no-untyped-def]
    """LU factors of 1 − z·∇²; west and east are the Laplacian's weights of the neighbours.

    `factors` holds the factors of the lower and the upper matrix, the inverse pivots, and what a value at the end of
    a segment's neighbour contributes to each point of the segment in the sweep outwards and in the sweep inwards.
    """
    lower, upper, inverse, outwards, inwards = factors[0], factors[1], factors[2], factors[3], factors[4]
    segment = (lower.size - 2) // SEGMENTS
    previous = 0.0
    for i in range(1, points + 1):
        w, e = z * west[i], z * east[i]
        pivot = 1.0 / (1.0 + w + e - w * previous)
        previous = e * pivot
        inverse[i] = pivot
        lower[i] = w * pivot
        upper[i] = previous
    for s in range(SEGMENTS):
        product = 1.0
        for i in range(1 + s * segment, 1 + (s + 1) * segment):
            product *= lower[i] if product > 1e-100 else 0.0
            outwards[i] = product
        product = 1.0
        for i in range((s + 1) * segment, s * segment, -1):
            product *= upper[i] if product > 1e-100 else 0.0
            inwards[i] = product


@_jit
def _segment(values, s):  # type: ignore[no-untyped-def]
    """Return the part of an array that belongs to segment `s`."""
    n = (values.size - 2) // SEGMENTS
    return values[1 + s * n : 1 + (s + 1) * n]


@_jit
def _diffuse(C, factors, active):  # type: ignore[no-untyped-def]
    """Solve (1 − z·∇²) C' = C in place, where C stands multiplied by the inverse pivots.

    Each sweep is a recurrence, whose speed is the latency of one operation. So the segments are swept side by side,
    each as if the one before it held zeros, and get afterwards what they missed.
    """
    C0, C1, C2, C3 = _segment(C, 0), _segment(C, 1), _segment(C, 2), _segment(C, 3)
    f = factors[0]
    f0, f1, f2, f3 = _segment(f, 0), _segment(f, 1), _segment(f, 2), _segment(f, 3)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(C0.size):
        a, b, c, d = f0[i] * a + C0[i], f1[i] * b + C1[i], f2[i] * c + C2[i], f3[i] * d + C3[i]
        C0[i], C1[i], C2[i], C3[i] = a, b, c, d
    for s in range(1, SEGMENTS):
        here, outwards, end = _segment(C, s), _segment(factors[3], s), _segment(C, s - 1)[C0.size - 1]
        for i in range(C0.size):
            here[i] += outwards[i] * end
    f = factors[1]
    f0, f1, f2, f3 = _segment(f, 0), _segment(f, 1), _segment(f, 2), _segment(f, 3)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(C0.size - 1, -1, -1):
        a, b, c, d = f0[i] * a + C0[i], f1[i] * b + C1[i], f2[i] * c + C2[i], f3[i] * d + C3[i]
        C0[i], C1[i], C2[i], C3[i] = a, b, c, d
    for s in range(SEGMENTS - 2, -1, -1):
        here, inwards, end = _segment(C, s), _segment(factors[4], s), _segment(C, s + 1)[0]
        for i in range(C0.size):
            here[i] += inwards[i] * end
    for i in _points(1, active):
        C[i] = C[i] if C[i] > 0.0 else 0.0
    C[active + 1 :] = 0.0


# --- Right-hand sides -----------------------------------------------------------------------------------------------


@njit(error_model="numpy", nogil=True, forceinline=True)
def _published_lysozyme(u, w, G11):  # type: ignore[no-untyped-def]
    """Lysozyme in binding equilibrium, by the formula and with the rounding errors of the published procedure.

    Its sum cancels where U is less than about 1e-16 G11: lysozyme is rounded to zero and all of it is bound. Ahead of
    the colony that decides whether T grows or decays, and so the pattern of one parameter set in six. No fast-math
    here: a fused or reordered operation would round otherwise.
    """
    b = u - w - G11
    return 0.5 * (b + math.sqrt(b * b + 4.0 * G11 * u))


@_jit
def _exact_lysozyme(u, w, G11):  # type: ignore[no-untyped-def]
    """Lysozyme in binding equilibrium, without cancellation.

    G12 P is the smaller root of x² − (U + W + G11) x + U W = 0.
    """
    root = math.sqrt((u - w) * (u - w) + G11 * (2.0 * (u + w) + G11))
    return u - 2.0 * u * w / (u + w + G11 + root)


def _make_slopes(free_lysozyme: Any) -> Any:
    """Return the right-hand sides for one way to compute lysozyme."""

    @_jit_sum
    def slopes(  # type: ignore[no-untyped-def]
        C, U, W, R, phi, west, east, radius, growth, diffusion, dU, dW, dR, groups, N, A, spacing, active
    ):
        """Write dC/dt (growth and diffusion apart), dU/dt, dW/dt, dR/dt.

        Return the integrals of μC and of Cφh/(1+P), and half the highest speed at which cells carry, in grid cells.
        """
        G1, G2, _, _, _, G6, G7, G8, G9, G10, G11, G12, alpha, beta, _, _ = groups
        induction = A * A / (1.0 + A * A)
        nutrient = N / (G2 + N)
        laplacian = G1 / (spacing * spacing)
        carrying = 0.25 * laplacian
        burden = alpha / G10
        source_U = G7 * induction
        source_W = G10 * G9 * G12
        grown, produced, fastest = 0.0, 0.0, _bits(0.0)
        for i in range(1, active + 1):
            c, u, w = C[i], U[i], W[i]
            lysozyme = free_lysozyme(u, w, G11)
            bound = u - lysozyme if u > lysozyme else 0.0
            free_T = w - bound if w > bound else 0.0  # G10 T
            mu = (1.0 - c) * nutrient / (1.0 + burden * free_T + beta * lysozyme)
            # h/(1 + P) and h with one division: h = free_T/(G10 + free_T), 1/(1 + P) = G12/(G12 + bound).
            shared = phi[i] * free_T / ((G10 + free_T) * (G12 + bound))
            activated = shared * (G12 + bound)
            step_C = C[i + 1] - C[i - 1]
            velocity = carrying * step_C / (c + MEMBRANE)
            fastest = max(fastest, _bits(abs(velocity)))  # as integers, which compare in SIMD lanes
            growth[i] = mu * c
            diffusion[i] = laplacian * (east[i] * (C[i + 1] - c) - west[i] * (c - C[i - 1]))
            dU[i] = velocity * (U[i + 1] - U[i - 1]) - mu * u - G6 * lysozyme + source_U * activated
            dW[i] = velocity * (W[i + 1] - W[i - 1]) - mu * w - G8 * free_T + source_W * shared
            dR[i] = velocity * (R[i + 1] - R[i - 1]) - mu * R[i] + induction * activated
            grown += mu * c * radius[i]
            produced += G12 * c * shared * radius[i]
        return grown, produced, _from_bits(fastest)

    return slopes


_published_slopes, _exact_slopes = _make_slopes(_published_lysozyme), _make_slopes(_exact_lysozyme)


@_jit
def _combine(z, y, k, growth, w0, w1, w2, stage, first, last):  # type: ignore[no-untyped-def]
    """Write z = max(0, y + Σ w_j k[j]) over the stages before `stage`, each term times its growth since."""
    g = growth[stage]
    w0, w1, w2 = w0 * g, w1 * g / growth[1], w2 * g / growth[2]
    if stage == 1:
        for i in _points(first, last):
            x = g * y[i] + w0 * k[0, i]
            z[i] = x if x > 0.0 else 0.0
    elif stage == 2:
        for i in _points(first, last):
            x = g * y[i] + (w0 * k[0, i] + w1 * k[1, i])
            z[i] = x if x > 0.0 else 0.0
    else:
        for i in _points(first, last):
            x = g * y[i] + (w0 * k[0, i] + w1 * k[1, i] + w2 * k[2, i])
            z[i] = x if x > 0.0 else 0.0


@_jit
def _combine_implicit(z, y, k, d, inverse, e0, e1, e2, i0, i1, i2, count, active):  # type: ignore[no-untyped-def]
    """Write z = (y + Σ (e_j k[j] + i_j d[j])) · inverse over the first `count` stages."""
    if count == 1:
        for i in _points(1, active):
            z[i] = (y[i] + (e0 * k[0, i] + i0 * d[0, i])) * inverse[i]
    elif count == 2:
        for i in _points(1, active):
            z[i] = (y[i] + (e0 * k[0, i] + i0 * d[0, i]) + (e1 * k[1, i] + i1 * d[1, i])) * inverse[i]
    else:
        for i in _points(1, active):
            z[i] = (
                y[i] + (e0 * k[0, i] + i0 * d[0, i]) + (e1 * k[1, i] + i1 * d[1, i]) + (e2 * k[2, i] + i2 * d[2, i])
            ) * inverse[i]


@_jit_sum
def _finish_cells(z, y, k, d, h, active):  # type: ignore[no-untyped-def]
    """Write the new C; return the sums of squares of its error and of C."""
    b0, b1, b2, b3 = h * WEIGHTS[0], h * WEIGHTS[1], h * WEIGHTS[2], h * WEIGHTS[3]
    e0, e1, e2, e3 = h * ERROR_WEIGHTS[0], h * ERROR_WEIGHTS[1], h * ERROR_WEIGHTS[2], h * ERROR_WEIGHTS[3]
    error, size = 0.0, 0.0
    for i in _points(1, active):
        s0, s1, s2, s3 = k[0, i] + d[0, i], k[1, i] + d[1, i], k[2, i] + d[2, i], k[3, i] + d[3, i]
        x = y[i] + (b0 * s0 + b1 * s1 + b2 * s2 + b3 * s3)
        z[i] = x if x > 0.0 else 0.0
        e = e0 * s0 + e1 * s1 + e2 * s2 + e3 * s3
        error += e * e
        size += y[i] * y[i]
    return error, size


@_jit
def _weigh(weights, C, W, G10, active):  # type: ignore[no-untyped-def]
    """Write how much a point counts in the error estimate: fully where there are cells or T is there."""
    for i in _points(1, active):
        weight = C[i] / CELLS + W[i] / (ALIVE * (W[i] + G10))
        weights[i] = weight if weight < 1.0 else 1.0


@_jit_sum
def _finish_carried(z, y, k, weights, growth, h, first, last):  # type: ignore[no-untyped-def]
    """Write the new U, W or R; return the weighted sums of squares of its error and of its size.

    Its size is the value and what it gains in one unit of time: everything but W starts from zero, where an error
    relative to the value alone would hold the first steps back for nothing.
    """
    g = growth[3]
    h0, h1, h2 = h * g, h * g / growth[1], h * g / growth[2]
    b0, b1, b2, b3 = h0 * WEIGHTS[0], h1 * WEIGHTS[1], h2 * WEIGHTS[2], h * WEIGHTS[3]
    e0, e1, e2, e3 = h0 * ERROR_WEIGHTS[0], h1 * ERROR_WEIGHTS[1], h2 * ERROR_WEIGHTS[2], h * ERROR_WEIGHTS[3]
    error, size = 0.0, 0.0
    for i in _points(first, last):
        x = g * y[i] + (b0 * k[0, i] + b1 * k[1, i] + b2 * k[2, i] + b3 * k[3, i])
        z[i] = x if x > 0.0 else 0.0
        e = weights[i] * (e0 * k[0, i] + e1 * k[1, i] + e2 * k[2, i] + e3 * k[3, i])
        v = weights[i] * (x + abs(k[3, i]))
        error += e * e
        size += v * v
    return error, size


@_jit_sum
def _edge_error(z, y, k, growth, h, G10, first, last):  # type: ignore[no-untyped-def]
    """Sum of squares of the relative error of W where T is small but not negligible, and the number of such points.

    There the front of T is drawn onwards by its own tail, however small, which no error relative to the whole profile
    sees.
    """
    h0, h1, h2 = h * growth[3], h * growth[3] / growth[1], h * growth[3] / growth[2]
    e0, e1, e2, e3 = h0 * ERROR_WEIGHTS[0], h1 * ERROR_WEIGHTS[1], h2 * ERROR_WEIGHTS[2], h * ERROR_WEIGHTS[3]
    low, high = EDGE_LOW * G10, EDGE_HIGH * G10
    error, count = 0.0, 0.0
    for i in _points(first, last):
        e = (e0 * k[0, i] + e1 * k[1, i] + e2 * k[2, i] + e3 * k[3, i]) / (y[i] + z[i] + low)
        inside = 1.0 if low < y[i] and y[i] < high else 0.0
        error += inside * e * e
        count += inside
    return error, count


# --- One parameter set ----------------------------------------------------------------------------------------------


@_jit
def _solve_one(  # type: ignore[no-untyped-def]
    groups, points, length, end_time, subgrid, exact, tolerance, longest_step, cutoff, grid, state, trial, slopes,
    diffusion, work, factors, profile, statistics,
):  # fmt: skip
    """Solve one parameter set: write y = C·R at the output points and the statistics; return SOLVED or why not."""
    G1, G2, G3, G4, G5, G6, G7, G8, G9, G10, G11, _, _, _, half_distance, exponent = groups
    radius, west, east, start_T = grid[0], grid[1], grid[2], grid[3]
    phi, weights, table = work[0], work[1], work[2, : points + 4]
    spacing, radial_step = length / points, length / (points - 1)
    consumption, synthesis = 2.0 * math.pi * G3 * radial_step, 2.0 * math.pi * G4 * radial_step
    laplacian = G1 / (spacing * spacing)
    log_half = math.log2(half_distance)
    N_slopes, A_slopes, decay = np.zeros(STAGES), np.zeros(STAGES), np.zeros(STAGES)
    growth, no_growth = np.ones(STAGES), np.ones(STAGES)
    factorised = np.zeros(KEPT_STEPS + 1)  # the steps that `factors` stands for

    state[:] = 0.0
    trial[:] = 0.0
    phi[:] = 1.0
    _tabulate_capacity(table, log_half, exponent, radial_step)
    active = 0
    while active < points and 10.0 * start_T[active + 1] > cutoff:
        active += 1
        state[0, active] = 10.0 * start_T[active]
        state[2, active] = G10 * start_T[active]
    N, A, time = 1.0, 0.0, 0.0
    # Ahead of the active region there are no cells, and so little T and U that the equations are linear: both are the
    # initial T times a factor that is the same everywhere. Lysozyme is all free, or rounded off and all bound.
    far_T, far_U = 1.0, 0.0
    far_rate, far_source = G9 - G8 - 1.0 / (G2 + 1.0), 0.0
    far_limit_T, far_limit_U = 1e-10 * min(G11 / G10, 1.0), (1e-10 if exact else 1e-18) * G11

    step, shown_front = FIRST_STEP, -1.0
    position, speed = _front_position(state[0], active, points), 0.0
    taken, rejected, fastest = 0, 0, 0.0
    while time < end_time:
        far_phi = 1.0 if exponent > 0 or time < SWITCH_TIME else 0.5
        # The nutrient bounds by how much a cell density can still grow: less than `needed` can never come to matter.
        needed = max(cutoff, LATE_CUTOFF * math.exp(-(end_time - time) * N / (G2 + N)))
        while active < points:
            ahead = start_T[active + 1]
            if (
                state[0, max(active - MARGIN, 1)] < needed
                and ahead * far_T < far_limit_T
                and ahead * far_U < far_limit_U
            ):
                break
            for i in range(active + 1, min(active + GROWTH, points) + 1):
                state[1, i] = far_U * start_T[i]
                state[2, i] = (far_U + G10 * far_T) * start_T[i]
                phi[i] = far_phi
            active = min(active + GROWTH, points)

        landing = min(SWITCH_TIME, end_time) if time < SWITCH_TIME else end_time
        carried = COURANT / (2.0 * fastest + TINY)
        level = math.floor(STEPS_PER_OCTAVE * math.log2(min(step, longest_step, carried)) + 1e-6)
        h, kept = 2.0 ** (level / STEPS_PER_OCTAVE), level % KEPT_STEPS
        lands = time + h > landing - 1e-9
        if h < SHORTEST_STEP and not lands:
            statistics[0], statistics[1], statistics[2], statistics[3] = taken, rejected, active, time
            return STEP_TOO_SHORT
        if lands:
            h, kept = landing - time, KEPT_STEPS
        if h != factorised[kept]:
            _factorise(GAMMA * h * laplacian, west, east, factors[kept], points)
            factorised[kept] = h
        # From `ahead` on there are no cells and little T: it grows by itself, at a rate that is the same everywhere.
        ahead = active + 1
        while ahead > 1 and state[0, ahead - 1] < NO_CELLS and state[2, ahead - 1] < LITTLE_T * G10:
            ahead -= 1
        for stage in range(1, STAGES):
            growth[stage] = math.exp(h * NODES[stage] * far_rate)

        for stage in range(STAGES):
            values, N_now, A_now = state, N, A
            if stage > 0:
                values = trial
                e0, e1, e2 = h * EXPLICIT[stage, 0], h * EXPLICIT[stage, 1], h * EXPLICIT[stage, 2]
                i0, i1, i2 = h * IMPLICIT[stage, 0], h * IMPLICIT[stage, 1], h * IMPLICIT[stage, 2]
                _combine_implicit(
                    trial[0], state[0], slopes[0], diffusion, factors[kept, 2], e0, e1, e2, i0, i1, i2, stage, active
                )  # fmt: skip
                _diffuse(trial[0], factors[kept], active)
                for field in range(1, 4):
                    z, y, k = trial[field], state[field], slopes[field]
                    _combine(z, y, k, no_growth, e0, e1, e2, stage, 1, ahead - 1)
                    _combine(z, y, k, growth, e0, e1, e2, stage, ahead, active)
                for j in range(stage):
                    N_now += h * EXPLICIT[stage, j] * N_slopes[j]
                    A_now += h * (EXPLICIT[stage, j] * A_slopes[j] + IMPLICIT[stage, j] * decay[j])
                N_now = max(N_now, 0.0)
                A_now = max(A_now / (1.0 + GAMMA * h * G5), 0.0)
            C = values[0]
            C[0] = C[2]  # mirror points
            if active == points:
                C[points + 1] = C[points - 1]
            if time >= SWITCH_TIME:
                now = _front_position(C, active, points)
                if subgrid:
                    front = now * radial_step
                else:
                    front = _mean_front_index(now, min(abs(speed) * h, LARGEST_SPAN)) * spacing
                if front != shown_front:
                    _fill_capacity(phi, table, front, log_half, exponent, radial_step, active)
                    shown_front = front
            U, W, R = values[1], values[2], values[3]
            growing, spreading = slopes[0, stage], diffusion[stage]
            dU, dW, dR = slopes[1, stage], slopes[2, stage], slopes[3, stage]
            if exact:
                grown, produced, fastest = _exact_slopes(
                    C, U, W, R, phi, west, east, radius, growing, spreading, dU, dW, dR, groups, N_now, A_now, spacing,
                    active,
                )  # fmt: skip
            else:
                grown, produced, fastest = _published_slopes(
                    C, U, W, R, phi, west, east, radius, growing, spreading, dU, dW, dR, groups, N_now, A_now, spacing,
                    active,
                )  # fmt: skip
            for field in range(1, 4):
                for i in _points(ahead, active):
                    slopes[field, stage, i] -= far_rate * values[field, i]
            N_slopes[stage] = -consumption * grown
            A_slopes[stage] = synthesis * produced
            decay[stage] = -G5 * A_now

        error, size = _finish_cells(trial[0], state[0], slopes[0], diffusion, h, active)
        worst = error / (size + TINY)
        _weigh(weights, state[0], state[2], G10, active)
        for field in range(1, 4):
            z, y, k = trial[field], state[field], slopes[field]
            error, size = _finish_carried(z, y, k, weights, no_growth, h, 1, ahead - 1)
            error_ahead, size_ahead = _finish_carried(z, y, k, weights, growth, h, ahead, active)
            noise = active * (ROUNDING * G11) ** 2 if field < 3 else 0.0
            worst = max(worst, (error + error_ahead) / (size + size_ahead + noise + TINY))
        error, count = _edge_error(trial[2], state[2], slopes[2], no_growth, h, G10, 1, ahead - 1)
        error_ahead, count_ahead = _edge_error(trial[2], state[2], slopes[2], growth, h, G10, ahead, active)
        worst = max(worst, (error + error_ahead) / (1.0 + count + count_ahead) / EDGE_TOLERANCE**2)
        ratio = math.sqrt(worst) / tolerance
        if not ratio <= 1.0:  # or not a number
            rejected += 1
            step = h * max(0.2, 0.9 * ratio ** (-1.0 / 3.0)) if ratio < 1e300 else 0.2 * h
            continue

        state, trial = trial, state
        for j in range(STAGES):
            N += h * WEIGHTS[j] * N_slopes[j]
            A += h * WEIGHTS[j] * (A_slopes[j] + decay[j])
        N, A = max(N, 0.0), max(A, 0.0)
        source = G7 * far_phi * A * A / (1.0 + A * A)
        rate = G9 * far_phi - G8 - N / (G2 + N) - (0.0 if exact else source / G10)
        loss = N / (G2 + N) + (G6 if exact else 0.0)
        made = 0.5 * h * far_source * far_T
        far_T = min(far_T * math.exp(0.5 * h * (far_rate + rate)), FAR_LIMIT)
        far_U = min((far_U + made) * math.exp(-h * loss) + 0.5 * h * source * far_T, FAR_LIMIT)
        far_rate, far_source = rate, source
        time = landing if lands else time + h
        moved = _front_position(state[0], active, points)
        speed, position = (moved - position) / h, moved
        taken += 1
        change = min(2.0, 0.9 * (ratio + 1e-6) ** (-1.0 / 3.0))
        # Having landed before the end, φ has just changed.
        step = FIRST_STEP if lands and time < end_time else h * max(change, 0.3)

    stride = (points - 1) // (profile.size - 1)
    for k in range(profile.size):
        profile[k] = state[0, 1 + stride * k] * state[3, 1 + stride * k]
    statistics[0], statistics[1], statistics[2], statistics[3] = taken, rejected, active, time
    return SOLVED


@njit(
    "void(float64[:, ::1], int64, float64, float64, boolean, boolean, float64, float64, float64,"
    " float64[:, ::1], float64[:, ::1], int64[::1])",
    fastmath=_FAST,
    error_model="numpy",
    nogil=True,
    cache=True,
)
def _solve_all(  # type: ignore[no-untyped-def]
    groups, points, length, end_time, subgrid, exact, tolerance, longest_step, cutoff, profiles, statistics, codes
):
    # Arrays carry one point beyond each end, values of grid point i stand at i + 1, and as many points follow as make
    # all segments equal.
    spacing, radial_step = length / points, length / (points - 1)
    size = SEGMENTS * math.ceil(points / SEGMENTS) + 2
    grid = np.zeros((4, size))  # radius, weights of the Laplacian, T at the start
    for i in range(points):
        r = i * radial_step
        x = math.pi * i / (points - 1)
        grid[0, i + 1] = r
        grid[1, i + 1] = 1.0 - spacing / (2.0 * r) if i > 0 else 0.0
        grid[2, i + 1] = 1.0 + spacing / (2.0 * r) if i > 0 else 4.0
        grid[3, i + 1] = 0.1 * 0.2 * math.exp(-x * x / 0.005)
    grid[0, points] *= 0.5  # end of the trapezoid rule
    grid[1, points], grid[2, points] = 2.0, 0.0
    state, trial = np.zeros((4, size)), np.zeros((4, size))
    slopes, diffusion = np.zeros((4, STAGES, size)), np.zeros((STAGES, size))
    work, factors = np.zeros((3, size + 2)), np.zeros((KEPT_STEPS + 1, 5, size))
    for row in range(len(groups)):
        g = groups[row]
        packed = (
            g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]
        )  # fmt: skip
        codes[row] = _solve_one(
            packed, points, length, end_time, subgrid, exact, tolerance, longest_step, cutoff, grid, state, trial,
            slopes, diffusion, work, factors, profiles[row], statistics[row],
        )  # fmt: skip


class Solved(NamedTuple):
    """What the kernel returns for n parameter sets.

    Attributes
    ----------
    profiles
        (n, output points), C · R; NaN where it failed.
    reasons
        Per sample, why it failed; "" where it did not.
    statistics
        (n, 4): steps taken, steps rejected, active points and time at the end.
    """

    profiles: NDArray[np.float64]
    reasons: list[str]
    statistics: NDArray[np.float64]


def solve(
    groups: NDArray[np.float64],
    *,
    output_points: int,
    points: int,
    length: float,
    end_time: float,
    subgrid: bool,
    exact: bool,
    tolerance: float,
    longest_step: float = LONGEST_STEP,
    cutoff: float = CUTOFF,
) -> Solved:
    """Solve the model for dimensionless groups (n, 16) on a grid of `points` over 0 ≤ r ≤ `length`.

    `exact` computes free lysozyme without the published procedure's cancellation, `subgrid` interpolates the front.
    `longest_step` and `cutoff` (cell density below which the disc ahead of the colony is left out) serve convergence
    studies.
    """
    n = len(groups)
    profiles, statistics = np.full((n, output_points), np.nan), np.zeros((n, 4))
    codes = np.zeros(n, dtype=np.int64)
    _solve_all(
        np.ascontiguousarray(groups), points, length, end_time, subgrid, exact, tolerance, longest_step, cutoff,
        profiles, statistics, codes,
    )  # fmt: skip
    reasons = [
        f"the time step fell below {SHORTEST_STEP:g} at t = {row[3]:.4g}" if code == STEP_TOO_SHORT else ""
        for code, row in zip(codes, statistics, strict=True)
    ]
    return Solved(profiles, reasons, statistics)
