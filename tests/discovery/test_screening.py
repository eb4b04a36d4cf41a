"""Screening: the terms of an equation are told by integrals along states that are known."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen.discovery import Polynomial
from mechscreen.discovery.data import check_trajectories
from mechscreen.discovery.forms import KINDS, Sizes
from mechscreen.discovery.knowledge import Knowledge
from mechscreen.discovery.posing import pose
from mechscreen.discovery.screening import Path, Screening

NOISE = 0.01


def screening(rate, starts, end, n=40, degree=2, kind="rational"):
    """What screens the first equation, and the forms; terms in the order 1, x, y, …."""
    rng, t = np.random.default_rng(0), np.linspace(0, end, n)
    y = [solve_ivp(rate, (0, end), start, t_eval=t, rtol=1e-9, atol=1e-9).y.T for start in starts]
    y = [own + NOISE * rng.standard_normal(own.shape) for own in y]
    data = check_trajectories([t] * len(starts), y, None, (), ())
    posed = pose(data, Polynomial(degree).bind(data.names), Knowledge())
    problem, scales = posed.problem, posed.scales
    allowed = np.arange(len(problem.library))
    found = Screening(
        Path.along(problem, posed.guesses[0]),
        [(own, values[:, 0], np.ones(len(own))) for own, values in problem.grid.trajectories],
        scales.time / scales.state[0],
        noise=posed.noise[0],
        allowed=allowed,
        known=np.zeros(len(allowed)),
        few=[0, 1],
        price=12.0,
        inside=12.0,
        rarity=np.zeros(len(allowed)),
    )
    return found, list(KINDS[kind](Sizes.of(data.names, data.with_inputs)))


STARTS = [[3.0], [1.5], [0.7], [2.0], [0.3]]


@pytest.mark.parametrize(
    ("rate", "starts", "end", "terms", "text", "values"),
    [
        (lambda t, x: -x / (0.5 + x), STARTS, 6, [], "x/(K + x)", [0.5]),
        (lambda t, x: 0.2 - x + 3 * x**4 / (1 + x**4), STARTS, 6, [0, 1], "x**n/(K**n + x**n)", [1, 4]),
        (
            lambda t, x: -2 * x / (0.5 + x + x**2 / 2),
            [[8.0], [5.0], [2.0], [1.0]],
            3.5,
            [],
            "x/(K + x + x**2/L)",
            [0.5, 2],
        ),
    ],
    ids=["Michaelis-Menten", "Hill", "substrate inhibition"],
)
def test_form_terms_and_unknowns_are_among_the_first(rate, starts, end, terms, text, values):
    screen, forms = screening(rate, starts, end)
    proposals = screen.run(forms, 3)
    assert [one.cost for one in proposals] == sorted(one.cost for one in proposals)
    (shape,) = next(
        one.shapes
        for one in proposals
        if one.terms.tolist() == terms
        and text in {how for shape in one.shapes for how in (shape.text, shape.turned().text)}
    )
    np.testing.assert_allclose(shape.values, values, rtol=0.4)


def test_coefficients_are_in_the_units_of_the_data():
    screen, forms = screening(lambda t, x: 100 * (-x / 100 / (0.5 + x / 100)), [[300.0], [150.0], [70.0]], 6)
    best = screen.run(forms, 3)[0]
    assert best.shapes[0].text == "x/(K + x)"
    np.testing.assert_allclose(best.coefficients, [-100], rtol=0.1)
    np.testing.assert_allclose(best.shapes[0].values, [50], rtol=0.2)


def test_monomials_alone_are_among_the_proposals_and_win_where_they_are_the_truth():
    screen, forms = screening(lambda t, x: x * (1 - x / 2), [[0.1], [3.0]], 6)
    proposals = screen.run(forms, 3)
    assert (proposals[0].shapes, proposals[0].terms.tolist()) == ((), [1, 2])
    np.testing.assert_allclose(proposals[0].coefficients, [1, -0.5], rtol=0.05)
    screen, forms = screening(lambda t, x: -x / (0.5 + x), STARTS, 6)
    assert any(not one.shapes for one in screen.run(forms, 3))


def test_another_variable_acts_by_a_form_of_its_own():
    def rate(t, y):
        return [4 / (1 + y[1] ** 2) - y[0], 4 / (1 + y[0] ** 2) - y[1]]

    screen, forms = screening(rate, [[0.5, 3.0], [3.0, 0.5], [1.0, 1.2], [4, 4]], 8, n=50)
    simple = next(one for one in screen.run(forms, 6) if len(one.shapes) == 1)
    assert simple.shapes[0].text in ("K**n/(K**n + y**n)", "y**n/(K**n + y**n)")
    assert simple.shapes[0].values == pytest.approx((1, 2), rel=0.3)
