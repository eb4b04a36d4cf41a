"""Compiled simulator of the MYC/E2F model; the equations are in `mechscreen.models.myc_e2f`.

Trajectories of one parameter set run side by side, one in each SIMD lane: the innermost loops go over `LANES`
trajectories, whose numbers stay in the first-level cache. Arithmetic is in single precision, which leaves a relative
error of up to 3e-4 after thousands of steps without noise.

Random numbers are a function of the sample's seed, the trajectory's number and the step (Philox4x32-10, Salmon et al.
2011, SC11), so that a trajectory does not depend on the lane it runs in. All noise that just one species has is one
Gaussian with the summed variance, and so is all noise along one conversion: 13 normal numbers a step instead of 41, and
the same distribution (docs/explanation/myc-e2f-model.md).

All compiled code stands in this one file, because Numba renews a cached binary only when the file that holds the entry
point, `_simulate`, has changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import ArrayLike, NDArray

from mechscreen.models.myc_e2f_parameters import PARAMETERS, SERUM, VARIABLES, molecular
from mechscreen.models.outputs import FloatArray

f4, u4, i4, u8 = np.float32, np.uint32, np.int32, np.uint64
# Numba takes these for constants of their own type; a plain 1.0 would turn all that it meets into double precision.
ZERO, ONE, TWO, FOUR = f4(0), f4(1), f4(2), f4(4)

LANES = 64
"""Trajectories that run side by side: four SIMD registers of AVX-512, of each number."""
SPECIES = len(VARIABLES)
NORMALS = 14
"""Normal numbers a step: ten of the species, three of conversions, one that is left over."""
BLOCKS = 4
"""Blocks of four random words a step."""

_FAST = {"contract", "nsz"}
# Inlined into the entry point, so that a process that compiles and one that loads the cached binary run the same code.
_jit = njit(fastmath=_FAST, error_model="numpy", nogil=True, forceinline=True)


@_jit
def _at(row, lane):  # type: ignore[no-untyped-def]
    """Return where a row's number of a lane stands; unsigned, so that Numba need not ask which count from the end."""
    return u8(row * LANES) + lane


# --- Random numbers -------------------------------------------------------------------------------------------------


@intrinsic
def _bits(typing_context: Any, x: Any) -> Any:
    """Return the bits of a float32 as a uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def _from_bits(typing_context: Any, x: Any) -> Any:
    """Return the float32 that has the bits of a uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@_jit
def _philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Return four random words for a counter of four words and a key of two: Philox4x32-10."""
    for _ in range(10):
        p0, p1 = u8(c0) * u8(0xD2511F53), u8(c2) * u8(0xCD9E8D57)
        c0, c1, c2, c3 = u4(p1 >> u8(32)) ^ c1 ^ k0, u4(p1), u4(p0 >> u8(32)) ^ c3 ^ k1, u4(p0)
        k0, k1 = u4(k0 + u4(0x9E3779B9)), u4(k1 + u4(0xBB67AE85))
    return c0, c1, c2, c3


_SIGN = u4(0x80000000)
_TO_UNIT, _HALF_UNIT = f4(2.0**-32), f4(2.0**-33)
_TO_ANGLE = f4(math.pi / 4 / 2**31)
_ROOT_HALF = u4(0x3F3504F3)
_LN_2 = f4(math.log(2))
# ln(1 + t) = t − t²/2 + t³ · polynomial, for t between √½ − 1 and √2 − 1 (Cephes, logf).
_L8, _L7, _L6, _L5 = f4(7.0376836292e-2), f4(-1.1514610310e-1), f4(1.1676998740e-1), f4(-1.2420140846e-1)
_L4, _L3, _L2, _L1 = f4(1.4249322787e-1), f4(-1.6668057665e-1), f4(2.0000714765e-1), f4(-2.4999993993e-1)
_L0 = f4(3.3333331174e-1)
# Taylor; the angle is at most π/4.
_S3, _S5, _S7 = f4(-1 / 6), f4(1 / 120), f4(-1 / 5040)
_C2, _C4, _C6, _C8 = f4(-1 / 2), f4(1 / 24), f4(-1 / 720), f4(1 / 40320)


@_jit
def _normal_pair(a, b):  # type: ignore[no-untyped-def]
    """Return two independent normal numbers for two random words (Box & Muller 1958).

    The radius comes from the first word. The angle within its quadrant comes from 30 bits of the second, as its
    distance from the middle, and the quadrant, as two signs, from the other two bits.
    """
    u = f4(a) * _TO_UNIT + _HALF_UNIT
    bits = _bits(u)
    exponent = i4(bits - _ROOT_HALF) >> i4(23)
    t = _from_bits(u4(bits - u4(u4(exponent) << u4(23)))) - ONE
    series = _L0 + t * (_L1 + t * (_L2 + t * (_L3 + t * (_L4 + t * (_L5 + t * (_L6 + t * (_L7 + t * _L8)))))))
    logarithm = f4(exponent) * _LN_2 + (t + t * t * (t * series - f4(0.5)))
    # √(−2 ln u) · √½: the root of one half belongs to the turn by π/4 below.
    radius = math.sqrt(-logarithm)
    angle = f4(i4(b << u4(2))) * _TO_ANGLE
    s = angle * angle
    sine = angle * (ONE + s * (_S3 + s * (_S5 + s * _S7)))
    cosine = ONE + s * (_C2 + s * (_C4 + s * (_C6 + s * _C8)))
    x, y = radius * (cosine - sine), radius * (cosine + sine)
    return _from_bits(_bits(x) ^ (b & _SIGN)), _from_bits(_bits(y) ^ (u4(b << u4(1)) & _SIGN))


@_jit
def _draw(normals, words, first, step, k0, k1):  # type: ignore[no-untyped-def]
    """Write the normal numbers of one step of the trajectories ``first … first + LANES − 1``."""
    for block in range(BLOCKS):
        for lane in range(u8(LANES)):
            a, b, c, d = _philox(u4(first + lane), u4(step), u4(block), u4(0), k0, k1)
            words[_at(4 * block, lane)], words[_at(4 * block + 1, lane)] = a, b
            words[_at(4 * block + 2, lane)], words[_at(4 * block + 3, lane)] = c, d
    for pair in range(NORMALS // 2):
        for lane in range(u8(LANES)):
            x, y = _normal_pair(words[_at(2 * pair, lane)], words[_at(2 * pair + 1, lane)])
            normals[_at(2 * pair, lane)], normals[_at(2 * pair + 1, lane)] = x, y


# --- One step of one trajectory -------------------------------------------------------------------------------------
# `x` are the ten molecule numbers, `z` the normal numbers, `c` what `coefficients` returns: all rates are per step.


@_jit
def _at_least(x, low):  # type: ignore[no-untyped-def]
    return x if x > low else low


@_jit
def _within(x, low, high):  # type: ignore[no-untyped-def]
    x = x if x > low else low
    return x if x < high else high


@_jit
def _renew(old, made, lost, z, intrinsic, extrinsic):  # type: ignore[no-untyped-def]
    """Return what one species becomes that is made and lost, by Euler–Maruyama."""
    return _at_least(old + (made - lost) + math.sqrt(intrinsic * (made + lost) + extrinsic) * z, ZERO)


@_jit
def _synthesis(x, c):  # type: ignore[no-untyped-def]
    """Return what is made of MYC, E2F mRNA, E2F, cyclin D, RB, cyclin E, ARF and miRNA."""
    kMC, kS, kEFm, kb, kEFp, kCD, kCDS, kCE, kRB, _, _, _, _, kAFb, kAFEF, kAFMC, kMREF, kMRMC = c[:18]
    KAFMC, KAFEF, KMRMC, KMREF, KMC, KMC1, _, KEF, KR, KMR, _, _, _, _, KMCCD = c[18:33]
    MC, EFm, EFp, _, _, _, _, _, _, MR = x
    by_E2F = EFp / (KEF + EFp)
    return (
        kMC,
        (kS + kEFm * by_E2F * MC / (KMC + MC) + kb * MC / (KMC1 + MC)) * KR / (KR + MC),
        kEFp * EFm * KMR / (KMR + MR),
        kCD * MC / (KMCCD + MC) + kCDS,
        kRB,
        kCE * by_E2F,
        kAFb + kAFEF * EFp / (KAFEF + EFp) + kAFMC * MC / (KAFMC + MC),
        kMRMC * MC / (KMRMC + MC) + kMREF * EFp / (KMREF + EFp),
    )


@_jit
def _conversion(x, c):  # type: ignore[no-untyped-def]
    """Return binding as a rate constant, and phosphorylation of RB and RB–E2F and dephosphorylation as shares."""
    kRE, kRBDP, kRBP1, kRBP2 = c[9:13]
    KRP, KCD, KCE = c[29:32]
    _, _, _, CD, RB, CE, RP, RE, _, _ = x
    by_D, by_E = kRBP1 * CD, kRBP2 * CE
    of_RB = (by_D * (KCE + RB) + by_E * (KCD + RB)) / ((KCD + RB) * (KCE + RB))
    of_RE = (by_D * (KCE + RE) + by_E * (KCD + RE)) / ((KCD + RE) * (KCE + RE))
    return kRE, of_RB, of_RE, kRBDP / (KRP + RP)


@_jit
def _implicit(x, z, c):  # type: ignore[no-untyped-def]
    """Advance one trajectory; conversions and decay of RB and E2F are implicit, and conserve both."""
    dEFm, dEFp, dCD, dCE, dRB, dRP, dRE, dMC, dAF, dMR, intrinsic, extrinsic = c[33:]
    MC, EFm, EFp, CD, RB, CE, RP, RE, AF, MR = x
    made_MC, made_EFm, made_EFp, made_CD, made_RB, made_CE, made_AF, made_MR = _synthesis(x, c)
    binding, p, q, r = _conversion(x, c)
    decay = (ONE + c[28] * AF) * dEFp

    # Noise of conversions takes no more than there is.
    extent = _within(math.sqrt(intrinsic * binding * RB * EFp) * z[10], -RE, _within(RB, ZERO, EFp))
    rb, ef, re = RB - extent, EFp - extent, RE + extent
    extent = _within(math.sqrt(intrinsic * q * RE) * z[11], -_within(RP, ZERO, ef), re)
    re, rp, ef = re - extent, RP + extent, ef + extent
    extent = _within(math.sqrt(intrinsic * (p * RB + r * RP)) * z[12], -rp, rb)
    rb, rp = rb - extent, rp + extent
    # Synthesis, and the noise that is each species' own.
    ef = _at_least(ef + made_EFp + math.sqrt(intrinsic * (made_EFp + decay * EFp) + extrinsic) * z[2], ZERO)
    rb = _at_least(rb + made_RB + math.sqrt(intrinsic * (made_RB + dRB * RB) + extrinsic) * z[4], ZERO)
    rp = _at_least(rp + math.sqrt(intrinsic * dRP * RP + extrinsic) * z[6], ZERO)
    re = _at_least(re + math.sqrt(intrinsic * dRE * RE + extrinsic) * z[7], ZERO)

    # Conversions and decay, with shares of the old state and molecules of the new:
    #   RB' = rb + r RP' − (p + dRB) RB' − ξ      RE' = re + ξ − (q + dRE) RE'      ξ = binding RB' E2F'
    #   RP' = rp + p RB' + q RE' − (r + dRP) RP'  E2F' = ef + q RE' − decay E2F' − ξ
    # All but ξ is linear, so that RB' solves a quadratic; its positive root is taken where nothing cancels.
    kept = ONE / (ONE + q + dRE)
    freed = q * kept
    bound = (ONE + dRE) * kept  # 1 − freed
    m = ONE + r + dRP
    determinant = (ONE + dRB) * m + p * (ONE + dRP)  # (1 + p + dRB) m − p r
    e = ef + freed * re
    a = m * rb + r * (rp + freed * re)  # determinant · RB' = a − b ξ
    b = ONE + dRP + r * bound
    f = ONE + decay  # f E2F' = e − bound ξ
    linear = determinant * f + binding * (b * e - a * bound)
    quadratic = binding * bound * determinant
    root = math.sqrt(linear * linear + FOUR * quadratic * (a * f))
    new_RB = TWO * (a * f) / (linear + root) if linear > ZERO else (root - linear) / (TWO * quadratic)
    new_EFp = e / (f + binding * bound * new_RB)
    new_RE = (re + binding * new_RB * new_EFp) * kept
    new_RP = (rp + p * new_RB + q * new_RE) / m
    return (
        _renew(MC, made_MC, dMC * MC, z[0], intrinsic, extrinsic),
        _renew(EFm, made_EFm, dEFm * EFm, z[1], intrinsic, extrinsic),
        new_EFp,
        _renew(CD, made_CD, dCD * CD, z[3], intrinsic, extrinsic),
        new_RB,
        _renew(CE, made_CE, dCE * CE, z[5], intrinsic, extrinsic),
        new_RP,
        new_RE,
        _renew(AF, made_AF, dAF * AF, z[8], intrinsic, extrinsic),
        _renew(MR, made_MR, dMR * MR, z[9], intrinsic, extrinsic),
    )


@_jit
def _explicit(x, z, c):  # type: ignore[no-untyped-def]
    """Advance one trajectory by the published Euler–Maruyama step: all explicit, then clipped at zero."""
    dEFm, dEFp, dCD, dCE, dRB, dRP, dRE, dMC, dAF, dMR, intrinsic, extrinsic = c[33:]
    MC, EFm, EFp, CD, RB, CE, RP, RE, AF, MR = x
    made_MC, made_EFm, made_EFp, made_CD, made_RB, made_CE, made_AF, made_MR = _synthesis(x, c)
    binding, p, q, r = _conversion(x, c)
    bound, freed = binding * RB * EFp, q * RE
    by_binding = bound + math.sqrt(intrinsic * bound) * z[10]
    by_release = freed + math.sqrt(intrinsic * freed) * z[11]
    to_RP = p * RB - r * RP + math.sqrt(intrinsic * (p * RB + r * RP)) * z[12]
    return (
        _renew(MC, made_MC, dMC * MC, z[0], intrinsic, extrinsic),
        _renew(EFm, made_EFm, dEFm * EFm, z[1], intrinsic, extrinsic),
        _renew(EFp + (by_release - by_binding), made_EFp, (ONE + c[28] * AF) * dEFp * EFp, z[2], intrinsic, extrinsic),
        _renew(CD, made_CD, dCD * CD, z[3], intrinsic, extrinsic),
        _renew(RB - by_binding - to_RP, made_RB, dRB * RB, z[4], intrinsic, extrinsic),
        _renew(CE, made_CE, dCE * CE, z[5], intrinsic, extrinsic),
        _renew(RP + by_release + to_RP, ZERO, dRP * RP, z[6], intrinsic, extrinsic),
        _renew(RE + (by_binding - by_release), ZERO, dRE * RE, z[7], intrinsic, extrinsic),
        _renew(AF, made_AF, dAF * AF, z[8], intrinsic, extrinsic),
        _renew(MR, made_MR, dMR * MR, z[9], intrinsic, extrinsic),
    )


# --- Trajectories ---------------------------------------------------------------------------------------------------


def _make_advance(step_once: Any) -> Any:
    """Return the loop over lanes for one way to take a step."""

    @_jit
    def advance(state, normals, c):  # type: ignore[no-untyped-def]
        for lane in range(u8(LANES)):
            x = (
                state[_at(0, lane)], state[_at(1, lane)], state[_at(2, lane)], state[_at(3, lane)], state[_at(4, lane)],
                state[_at(5, lane)], state[_at(6, lane)], state[_at(7, lane)], state[_at(8, lane)], state[_at(9, lane)],
            )  # fmt: skip
            z = (
                normals[_at(0, lane)], normals[_at(1, lane)], normals[_at(2, lane)], normals[_at(3, lane)],
                normals[_at(4, lane)], normals[_at(5, lane)], normals[_at(6, lane)], normals[_at(7, lane)],
                normals[_at(8, lane)], normals[_at(9, lane)], normals[_at(10, lane)], normals[_at(11, lane)],
                normals[_at(12, lane)],
            )  # fmt: skip
            x = step_once(x, z, c)
            state[_at(0, lane)], state[_at(1, lane)], state[_at(2, lane)] = x[0], x[1], x[2]
            state[_at(3, lane)], state[_at(4, lane)], state[_at(5, lane)] = x[3], x[4], x[5]
            state[_at(6, lane)], state[_at(7, lane)], state[_at(8, lane)], state[_at(9, lane)] = x[6], x[7], x[8], x[9]

    return advance


_advance_implicit, _advance_explicit = _make_advance(_implicit), _make_advance(_explicit)


@njit(
    "void(float32[:, ::1], int64[::1], float32[::1], uint32, uint32, int64, boolean, float32[:, ::1])",
    fastmath=_FAST,
    error_model="numpy",
    nogil=True,
    cache=True,
)
def _simulate(coefficients, steps, start, k0, k1, first, implicit, final):  # type: ignore[no-untyped-def]
    words, normals = np.empty(4 * BLOCKS * LANES, np.uint32), np.empty(NORMALS * LANES, np.float32)
    state = np.empty(SPECIES * LANES, np.float32)
    count = final.shape[1]
    for done in range(0, count, LANES):
        for species in range(SPECIES):
            state[species * LANES : (species + 1) * LANES] = start[species]
        step = 0
        for phase in range(len(steps)):
            c = to_fixed_tuple(coefficients[phase], 45)
            for _ in range(steps[phase]):
                _draw(normals, words, first + done, step, k0, k1)
                if implicit:
                    _advance_implicit(state, normals, c)
                else:
                    _advance_explicit(state, normals, c)
                step += 1
        filled = min(LANES, count - done)
        for species in range(SPECIES):
            final[species, done : done + filled] = state[species * LANES : species * LANES + filled]


def coefficients(parameters: FloatArray, step: float, intrinsic: float, extrinsic: float) -> NDArray[np.float32]:
    """Return what the compiled code takes, (45,): rates per step, half constants in molecules, variances per step.

    `parameters` (43,) are in µM, `step` in hours.
    """
    values = dict(zip(PARAMETERS, molecular(parameters), strict=True))
    by_serum = SERUM / (values["KS"] + SERUM)
    for name in values:
        if not name.startswith("K"):
            values[name] *= step
    for name in ("kMC", "kS", "kCDS"):
        values[name] *= by_serum
    with np.errstate(over="ignore"):  # what is too large ends as a result that is not finite
        return np.array([*values.values(), intrinsic, extrinsic * step], dtype=np.float32)


def simulate(
    parameters: FloatArray,
    seed: int,
    count: int,
    phases: Sequence[tuple[int, float]],
    *,
    implicit: bool,
    intrinsic: float,
    extrinsic: float,
    first: int = 0,
    start: ArrayLike = (0.0,) * SPECIES,
) -> NDArray[np.float32]:
    """Simulate trajectories of one parameter set; return the molecule numbers that they end with, (10, count).

    Parameters
    ----------
    parameters
        (43,), in µM and hours.
    seed
        64 bits; with the trajectory's number it fixes all random numbers.
    phases
        One after the other, how many steps of how many hours.
    implicit
        Conversions and decay of RB and E2F are implicit; otherwise all is explicit, as published.
    intrinsic, extrinsic
        Variances of Γ and ω.
    first
        Number of the first trajectory.
    start
        (10,), molecule numbers at the start.
    """
    final = np.empty((SPECIES, count), np.float32)
    _simulate(
        np.stack([coefficients(parameters, step, intrinsic, extrinsic) for _, step in phases]),
        np.array([steps for steps, _ in phases]), np.asarray(start, np.float32),
        u4(seed & 0xFFFFFFFF), u4(seed >> 32), first, implicit, final,
    )  # fmt: skip
    return final
