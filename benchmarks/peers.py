"""PySINDy as a method of the discovery study: at its defaults, weak, as an ensemble, implicit, and tuned by an oracle.

Each function has the signature of `discovery_study.scoring.Peer`. Needs ``pip install mechscreen[benchmarks]``.
"""

import contextlib
import io
import warnings
from functools import cache

import numpy as np
import pysindy as ps

from mechscreen.discovery import Polynomial

warnings.filterwarnings("ignore", module="pysindy")
warnings.filterwarnings("ignore", module="sklearn")

SUBDOMAINS, WIDTH, THRESHOLD = 1000, 1 / 20, 0.1
"""The weak form's one setting: the best of 96 over six rows of the study, two seeds each. The half width of a subdomain
is relative to the duration, the threshold is for states with unit root mean square."""

IMPLICIT_WEIGHT, IMPLICIT_THRESHOLD = 1e-2, 0.05
"""SINDy-PI's one setting: weight of l1 for each sample, and the threshold below which a coefficient is none, both for
columns of unit root mean square; the best of five over five rational systems, one data set each."""

ORACLE_SUBDOMAINS = 2000
ORACLE_WIDTHS = (1 / 400, 1 / 100, 1 / 40, 1 / 20)
ORACLE_THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def default(t, y, names, degree, truth):
    """`pysindy.SINDy()` as it comes, with the library's degree: smooth nothing, threshold coefficients at 0.1."""
    del truth
    model = ps.SINDy(feature_library=ps.PolynomialLibrary(degree=degree))
    model.fit(list(y), t=list(t), feature_names=list(names))
    return _ordered(model.coefficients(), model.get_feature_names(), names, degree)


def weak(t, y, names, degree, truth):
    """Weak form at one fixed setting, states scaled to unit root mean square."""
    del truth
    size = _size(y)
    design, target, features = _weak_form(t, y, names, degree, size, SUBDOMAINS, WIDTH)
    return _threshold(design, target, features, size, names, degree, THRESHOLD)


def ensemble(t, y, names, degree, truth):
    """Bagging of 50 thresholded regressions (Fasel et al. 2022), median; smoothed finite differences."""
    del truth
    size = _size(y)
    optimizer = ps.EnsembleOptimizer(ps.STLSQ(threshold=THRESHOLD), bagging=True, n_models=50)
    model = ps.SINDy(
        optimizer=optimizer,
        feature_library=ps.PolynomialLibrary(degree=degree),
        differentiation_method=ps.SmoothedFiniteDifference(),
    )
    # Bagging draws from NumPy's global generator.
    np.random.seed(0)  # noqa: NPY002
    model.fit([own / size for own in y], t=list(t), feature_names=list(names))
    median = np.median(optimizer.coef_list, axis=0)
    return _unscaled(_ordered(median, model.get_feature_names(), names, degree), size, degree, names)


def oracle(t, y, names, degree, truth):
    """The best of 72 settings of the weak form, chosen by the truth: exact support first, then least error."""
    best, best_score = None, None
    used = truth != 0
    for size in (np.ones(len(names)), _size(y)):
        for width in ORACLE_WIDTHS:
            design, target, features = _weak_form(t, y, names, degree, size, ORACLE_SUBDOMAINS, width)
            for threshold in ORACLE_THRESHOLDS:
                found = _threshold(design, target, features, size, names, degree, threshold)
                wrong = ((found != 0) != used).sum()
                score = (wrong, np.abs((found - truth)[used] / truth[used]).max())
                if best_score is None or score < best_score:
                    best, best_score = found, score
    return best


def sindy_pi(t, y, names, degree, truth):
    """SINDy-PI (Kaheman et al. 2020), for suites alone: rational right-hand sides, as text.

    Rates are smoothed finite differences. For each equation, every product of its rate with a monomial is regressed on
    all other ones and on the monomials (l1), which gives as many candidates; the one whose rates have the least BIC is
    taken.
    """
    del truth
    size = _size(y)
    slopes = [ps.SmoothedFiniteDifference()._differentiate(own, own_t) for own, own_t in zip(y, t, strict=True)]
    states, slopes = np.concatenate(y) / size, np.concatenate(slopes) / size
    library = _library(tuple(names), degree)
    values, _ = library.evaluate(states)
    scaled = [f"({name}/{own!r})" for name, own in zip(names, size.tolist(), strict=True)]
    exponents = library.exponents.tolist()
    terms = ["*".join(f"{v}**{e}" for v, e in zip(scaled, row, strict=True) if e) or "1" for row in exponents]
    return [f"{own!r}*({_implicit(values, slopes[:, k], terms)})" for k, own in enumerate(size.tolist())]


def _implicit(values, slope, terms):
    """Right-hand side as text, of states over their size, from values (n, m) of the terms and rates (n,)."""
    m = len(terms)
    columns = np.concatenate([values, slope[:, None] * values], axis=1)
    scale = np.sqrt(np.mean(columns**2, axis=0))
    optimizer = ps.optimizers.SINDyPI(
        reg_weight_lam=IMPLICIT_WEIGHT * len(slope), model_subset=list(range(m, 2 * m)), max_iter=20_000
    )
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer.fit(columns / scale, columns / scale)
    best, text = np.inf, "0"
    for i in range(m, 2 * m):
        relation = -np.nan_to_num(optimizer.coef_[i])
        relation[np.abs(relation) < IMPLICIT_THRESHOLD] = 0.0
        relation[i] = 1.0
        relation /= scale
        with np.errstate(all="ignore"):
            off = -(values @ relation[:m]) / (values @ relation[m:]) - slope
        bic = len(slope) * np.log(np.mean(off**2)) + np.log(len(slope)) * np.count_nonzero(relation)
        if bic < best:
            above, below = (
                " + ".join(f"({c!r})*{term}" for c, term in zip(part.tolist(), terms, strict=True) if c) or "0"
                for part in (-relation[:m], relation[m:])
            )
            best, text = bic, f"({above})/({below})"
    return text


def _weak_form(t, y, names, degree, size, subdomains, width):
    """Design (K, n_terms) and target (K, d) of all trajectories, of states over `size`, and names of the features."""
    designs, targets = [], []
    for own_t, own_y in zip(t, y, strict=True):
        # Subdomains are drawn from NumPy's global generator.
        np.random.seed(0)  # noqa: NPY002
        library = ps.WeakPDELibrary(
            ps.PolynomialLibrary(degree=degree, include_bias=True),
            spatiotemporal_grid=own_t,
            K=subdomains,
            H_xt=[max(width * (own_t[-1] - own_t[0]), 2.5 * float(np.diff(own_t).max()))],
        )
        model = ps.SINDy(optimizer=_Keep(), feature_library=library)
        model.fit(own_y / size, t=own_t, feature_names=list(names))
        designs.append(model.optimizer.design)
        targets.append(model.optimizer.target)
    return np.concatenate(designs), np.concatenate(targets), model.get_feature_names()


class _Keep(ps.STLSQ):
    """Keep the regression's matrices, so that many thresholds share one weak form."""

    def _reduce(self, x, y):
        self.design, self.target = np.array(x), np.array(y)
        super()._reduce(x, y)


def _threshold(design, target, features, size, names, degree, threshold):
    optimizer = ps.STLSQ(threshold=threshold)
    try:
        optimizer.fit(design, target)
    except ValueError:
        # PySINDy fails where the threshold removes everything.
        return np.zeros((len(names), len(features)))
    return _unscaled(_ordered(optimizer.coef_, features, names, degree), size, degree, names)


def _size(y):
    return np.sqrt(np.mean(np.concatenate(y) ** 2, axis=0))


@cache
def _library(names, degree):
    return Polynomial(degree).bind(names)


def _ordered(coefficients, features, names, degree):
    """Bring PySINDy's columns into the order of our library."""
    library = _library(tuple(names), degree)
    out = np.zeros((len(names), len(library)))
    for column, feature in enumerate(features):
        out[:, library.index(feature)] = coefficients[:, column]
    return out


def _unscaled(coefficients, size, degree, names):
    """Coefficients for the states from those for the states over `size`."""
    exponents = _library(tuple(names), degree).exponents
    return coefficients * size[:, None] / np.prod(size**exponents, axis=1)
