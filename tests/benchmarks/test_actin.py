"""Aggregation of actin: both models of Hu et al., on synthetic curves and on the measured ones where these are."""

from pathlib import Path

import numpy as np
import pytest

from discovery_study.actin import (
    PHYSICAL_TERMS,
    PUBLISHED_ERRORS,
    PUBLISHED_KCL,
    Curve,
    discover_data_driven,
    discover_physical,
    mean_absolute_error,
    predict,
    synthetic_curves,
)
from discovery_study.measure import read_curves

DATA = Path(__file__).parents[3] / "shared/data"
measured = pytest.mark.skipif(
    not (DATA / "actin_kcl.csv").exists(), reason="the measured curves are not in ../shared/data"
)


def used_symbols(model):
    """Symbols of the physical model's coefficients that are not zero."""
    return {
        symbol
        for symbol, (equation, term) in PHYSICAL_TERMS.items()
        if model.coefficients[model.names.index(equation), model.library.index(term)]
    }


def test_what_becomes_polymer_was_monomer():
    curves = synthetic_curves()
    model = discover_data_driven(curves)
    np.testing.assert_allclose(model.coefficients[0], -model.coefficients[1])
    # The published physical model is outside this one's library; still it follows within the noise of 0.2 µM.
    assert mean_absolute_error(model, curves) < 0.25


def test_the_equations_of_the_hidden_filaments_follow_from_the_polymer_alone():
    curves = synthetic_curves(1)[::2]
    model = discover_physical(curves)
    assert used_symbols(model) == set(PUBLISHED_KCL)
    assert np.isnan(model.noise[0])
    # |N(0, 0.2)| has a mean of 0.16.
    assert mean_absolute_error(model, curves) == pytest.approx(0.16, abs=0.02)
    later = [predict(model, c, np.array([c.t[-1], c.t[-1] + 5.0])) for c in curves]
    assert all(np.isfinite(path).all() for path in later)


@measured
@pytest.mark.parametrize(("salt", "file"), [("KCl", "actin_kcl.csv"), ("MgCl2", "actin_mgcl2.csv")])
def test_the_measured_curves_are_followed_more_closely_than_in_the_paper(salt, file):
    curves = read_curves(DATA / file)
    assert len(curves) == 7
    assert isinstance(curves[0], Curve)
    error = mean_absolute_error(discover_data_driven(curves), curves)
    assert error < 0.35 < PUBLISHED_ERRORS[salt, "data-driven"]


@pytest.mark.slow
@measured
@pytest.mark.parametrize(("file", "limit", "terms"), [("actin_kcl.csv", 0.30, 7), ("actin_mgcl2.csv", 0.45, 9)])
def test_the_physical_model_follows_the_measured_curves_with_some_of_its_eleven_terms(file, limit, terms):
    curves = read_curves(DATA / file)
    model = discover_physical(curves)
    assert mean_absolute_error(model, curves) < limit
    assert len(used_symbols(model)) <= terms
