"""Discovered equations as a model in a file: what an engine makes of it is what the equations say."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from scipy.integrate import solve_ivp

from discovered import FORMS, FUNCTIONS, NAMES, made, models, shape
from mechscreen import InputError, Knowledge, Polynomial, discover
from mechscreen.discovery.inputs import smooth, steps
from mechscreen.discovery.model_file import MOST_PIECES, as_model
from mechscreen.discovery.shapes import Shape, Unknown
from mechscreen.models.sbml_document import sbml_of_antimony

roadrunner = pytest.importorskip("roadrunner")


def runner(sbml):
    found = roadrunner.RoadRunner(sbml)
    found.integrator.setValue("relative_tolerance", 1e-11)
    found.integrator.setValue("absolute_tolerance", 1e-14)
    return found


def curves(written, names, times):
    """Return what the engine computes of the variables, (n, d)."""
    selections = [f"[{written.called[name]}]" for name in names]
    return np.asarray(runner(written.sbml).simulate(times=list(map(float, times)), selections=selections))


def see_that_curves_are_those_of_the_model(model, digits=1e-6):
    written = as_model(model)
    t = model.t[0][0] + np.linspace(0, written.end, 41)
    expected = model.simulate(model.initial[0], t, tolerance=1e-11)
    assert np.isfinite(expected).all()
    size = np.abs(expected).max(axis=0)
    assert (np.abs(curves(written, model.names, t - t[0]) - expected) <= digits * size).all()
    return written


def see_that_rates_are_those_of_the_model(model):
    written = as_model(model)
    # The engine tells no rates of species that rules change, so that assignments do.
    told = re.sub(r"^  (\w+)' = (.*);$", r"  rate_of_\1 := \2;", written.antimony, flags=re.M)
    engine = runner(sbml_of_antimony("", told))
    rng = np.random.default_rng(0)
    for x in rng.uniform(0.3, 2.5, (5, len(NAMES))):
        for name, value in zip(NAMES, x, strict=True):
            engine.setValue(f"[{written.called[name]}]", value)
        found = [engine.getValue(f"rate_of_{written.called[name]}") for name in NAMES]
        size = np.abs(model.library.evaluate(x[None])[0][0]) @ np.abs(model.coefficients).T
        assert (np.abs(found - model.rates(x)[0]) <= 1e-11 * size + 1e-300).all(), written.antimony


@settings(deadline=None, max_examples=40)
@given(models())
def test_the_engine_has_the_rates_of_the_model(model):
    see_that_rates_are_those_of_the_model(model)


def test_every_kind_of_term_has_the_rates_of_the_model():
    functions = [text for text in FUNCTIONS if text not in ("1", "3")]
    shapes = [shape(text, inside, [ends[0] for ends in inside.values()]) for text, inside in FORMS]
    terms = 1 + len(functions) + len(shapes)
    rng = np.random.default_rng(1)
    see_that_rates_are_those_of_the_model(made(0, functions, shapes, rng.standard_normal((3, terms))))


def observed(rate, starts, end, n, noise=0.01, begin=0.0):
    rng, t = np.random.default_rng(0), np.linspace(begin, begin + end, n)
    span = (begin, begin + end)
    states = [solve_ivp(rate, span, start, t_eval=t, rtol=1e-9, atol=1e-9).y.T for start in starts]
    return [t] * len(starts), [y + noise * y.std(axis=0) * rng.standard_normal(y.shape) for y in states]


CASES = {
    "polynomial": (
        lambda t, y: [y[0] - 0.1 * y[0] * y[1], 0.05 * y[0] * y[1] - 0.5 * y[1]], [[10, 5], [4, 12]], 12, 80,
        Polynomial(2), ["prey", "predator"],
    ),
    "rational": (
        lambda t, y: [1.2 - 2 * y[0] ** 3 / (0.8**3 + y[0] ** 3)], [[0.1], [3.0], [1.5]], 6, 40,
        Polynomial(1, forms=["rational"]), ["x"],
    ),
    "trigonometric": (
        lambda t, y: [y[1], -2 * np.sin(1.3 * y[0])], [[1.5, 0], [-0.5, 1], [0.3, -1.5]], 8, 100,
        Polynomial(1, forms=["trigonometric"]), ["a", "v"],
    ),
    "exponential": (
        lambda t, y: [1.5 * np.exp(-0.8 * y[0]) - 0.4 * y[0]], [[0.05], [4.0], [2.0]], 8, 60,
        Polynomial(1, forms=["exponential"]), ["x"],
    ),
    "function of the user": (
        lambda t, y: [1.0 - 2.5 * y[0] / (1 + y[0] ** 2) + 0.2 * y[0]], [[0.05], [1.1], [0.8]], 3, 60,
        Polynomial(1, ["x/(1 + x^2)"]), ["x"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_the_engine_draws_the_curves_of_the_discovered_model(kind):
    rate, starts, end, n, library, names = CASES[kind]
    model = discover(*observed(rate, starts, end, n, begin=2.5), library, names=names)
    forms = model.unknowns()
    assert bool(forms) == (kind in ("rational", "trigonometric", "exponential"))
    written = see_that_curves_are_those_of_the_model(model)
    assert written.end == end
    assert "// Time 0 is 2.5 of the data." in written.antimony
    # All digits of all numbers, in both files.
    found = {own.name: own.value for own in written.constants}
    sizes = set(np.abs(model.coefficients[model.support]).tolist()) | {abs(value) for *_, value, _, _ in forms}
    assert len(found) == model.support.sum() + len(forms)
    assert sorted(map(abs, found.values())) == pytest.approx(sorted(sizes), rel=1e-15)
    for text, pattern in ((written.antimony, r"^  {} = (.*);$"), (written.sbml, r'id="{}" [^>]*value="([^"]*)"')):
        for name, value in found.items():
            assert float(re.search(pattern.format(name), text, re.M)[1]) == value
    start = re.findall(r'initialConcentration="([^"]*)"', written.sbml)
    assert list(map(float, start)) == model.initial[0].tolist()


def test_an_interval_without_zero_is_of_the_size_and_one_with_zero_of_the_number():
    coefficients, errors = np.zeros((2, 3, 4))
    coefficients[0, 1], errors[0, 1] = -2.0, 0.1
    coefficients[1, 2], errors[1, 2] = 0.3, 1.0
    coefficients[2, 0] = -0.5
    coefficients[2, 3], errors[2, 3] = -1.5, np.nan
    written = as_model(made(1, coefficients=coefficients, errors=errors))
    size, number, known, unsure = written.constants
    assert (size.name, size.value, size.log) == ("k_x_1", 2.0, True)
    assert (size.low, size.high) == pytest.approx((2 - 0.19840, 2 + 0.19840), abs=1e-4)
    assert (number.value, number.log) == (0.3, False)
    assert number.low < 0 < number.high
    assert (known.value, known.low, known.high) == (0.5, 0.5, 0.5)
    assert (unsure.low, unsure.high, unsure.log) == (0.15, 15.0, True)
    assert "x' = -k_x_1*x;" in written.antimony
    assert "prey' = k_prey_1*prey;" in written.antimony
    assert "E' = -k_E_1 - k_E_2*E;" in written.antimony


def test_what_powers_take_to_be_positive_is_so_in_the_file():
    powers = shape("x**n/(K**n + x**n)", {"K": (0.05, 20.0), "n": (0.5, 8.0)}, [0.5, 1.7], floors=(0.4, 0.4, 0.4))
    coefficients = np.zeros((3, 2))
    coefficients[0] = (-0.2, -1.0)
    written = see_that_curves_are_those_of_the_model(made(0, (), [powers], coefficients))
    assert "x_positive := piecewise(x, x > 0.4, 0.4);" in written.antimony
    assert curves(written, NAMES, [0.0, 2.0])[1, 0] < 0


def test_coefficients_in_a_known_proportion_share_a_parameter():
    data = observed(lambda t, y: [-0.3 * y[0] ** 2, 0.6 * y[0] ** 2 - y[1]], [[3, 0.2], [1, 2]], 6, 40)
    known = Knowledge(tied=[{("m", "m^2"): -1, ("d", "m^2"): 2}])
    model = discover(*data, Polynomial(2), names=["m", "d"], knowledge=known)
    written = see_that_curves_are_those_of_the_model(model)
    assert "m' = -k_m_1*m^2;" in written.antimony
    assert "d' = -k_d_1*d + 2.0*k_m_1*m^2;" in written.antimony


AWKWARD = [
    "time",
    "E",
    "pi",
    "lambda",
    "exp",
    "Größe",
    "µM",
    "1st",
    "a b",
    "cell",
    "k_E_1",
    "in",
    "S1",
    "_x",
    "β",
    "日本",
]


def test_names_that_files_cannot_hold_are_others_and_the_model_is_the_same():
    for first, second in zip(AWKWARD[:-1:2], AWKWARD[1::2], strict=True):
        names = (first, second, "z")
        coefficients = np.zeros((3, 10))
        coefficients[0, 1], coefficients[1, 5], coefficients[2, 2] = -1.0, 0.5, 0.1
        model = made(2, coefficients=coefficients, names=names)
        written = see_that_curves_are_those_of_the_model(model)
        assert len(set(written.called.values())) == 3
        assert all(re.fullmatch(r"[A-Za-z_]\w*", own, re.ASCII) for own in written.called.values())
        for name, own in written.called.items():
            assert (name == own) or f"{own} for '{name}'" in written.renamed
            assert (name == own) or f'{own} is "{name}";' in written.antimony
    assert as_model(made(1)).renamed == ""
    odd = made(1, names=('a "b"\n  c', "x", "lake"))
    for name in ("model", "lake", "", "2021 + 1"):
        assert as_model(odd, name).renamed == "a_b_c for 'a \"b\"\n  c'"


def test_terms_of_people_and_unknowns_have_the_names_of_the_file():
    names = ("\u00b5M", "in_", "Größe")
    coefficients = np.zeros((3, 3))
    coefficients[0, 1], coefficients[1, 2] = -1.0, 0.5
    wave = Shape.of("sin(w*Größe + p)", names, [Unknown("w", 0.1, 9), Unknown("p", -6, 6, log=False)], [1.5, -0.5])
    written = see_that_curves_are_those_of_the_model(made(0, [f"{names[0]}^2"], [wave], coefficients, names=names))
    assert written.called == {names[0]: "M", "in_": "in_", "Größe": "Groe"}
    assert "M' = -k_M_1*M^2;" in written.antimony
    assert "in_' = k_in__1*sin(w_1*Groe + p_1);" in written.antimony


@settings(deadline=None, max_examples=30)
@given(models())
def test_what_varies_has_its_value_within_its_range(model):
    written = as_model(model)
    assume(written.constants)
    assert len({own.name for own in written.constants} | set(written.called.values())) == 3 + len(written.constants)
    for own in written.constants:
        assert own.low <= own.value <= own.high or own.low == own.high == pytest.approx(own.value)
        assert own.low > 0 or not own.log


def driven(course, initial=(0.5,), end=10.0):
    """A model of one variable that follows an input: dx/dt = 2 u − x."""
    library = Polynomial(1).bind(("x",), ("u",))
    model = made(1, initial=initial, names=("x",))
    times = np.linspace(course.knots[0], course.knots[0] + end, 101)
    return replace(
        model,
        library=library,
        coefficients=np.array([[0.0, -1.0, 2.0]]),
        covariance=np.zeros((3, 3)),
        t=(times,),
        denoised=(np.full((len(times), 1), initial[0]),),
        courses=(course,),
    )


def test_an_input_in_steps_changes_by_events():
    t = np.linspace(3, 13, 101)
    course = steps(t, np.where((t > 5) & (t < 5.25), 4.0, np.where(t > 10, 0.5, 1.0)))
    written = see_that_curves_are_those_of_the_model(driven(course), digits=1e-4)
    assert written.antimony.count("at time >= ") == 3
    # Without a ramp of the jumps, by hand: 2 u is what x goes to.
    x, now, exact = 0.5, 0.0, [0.5]
    ends = [2.1 - 5e-6, 2.3 - 5e-6, 7.1 - 5e-6, 10.0]
    for end, u in zip(ends, (1.0, 4.0, 1.0, 0.5), strict=True):
        x, now = 2 * u + (x - 2 * u) * np.exp(-(end - now)), end
        exact.append(x)
    np.testing.assert_allclose(curves(written, ["x"], [0.0, *ends])[:, 0], exact, rtol=2e-5)


def test_a_smooth_input_goes_in_cubic_pieces():
    knots = np.linspace(-1, 9, 60)
    course = smooth(knots, np.sin(knots)[:, None], np.cos(knots)[:, None])
    written = see_that_curves_are_those_of_the_model(driven(course))
    assert "u := u_0 + (time - u_begun)*(u_1" in written.antimony
    assert written.start.keys() == {"x"}


def test_an_input_that_stays_is_a_number_with_its_range_over_trajectories():
    first, second = (steps(np.linspace(0, 10, 11), np.full(11, level)) for level in (0.5, 2.0))
    model = driven(first)
    model = replace(model, t=model.t * 2, denoised=model.denoised * 2, courses=(first, second))
    model = replace(model, initial=np.array([[0.5], [0.7]]))
    written = see_that_curves_are_those_of_the_model(model)
    assert "  u = 0.5;" in written.antimony
    assert written.start == {"x": (0.5, 0.7), "u": (0.5, 2.0)}


def test_an_input_of_too_many_pieces_is_refused():
    knots = np.linspace(0, 10, MOST_PIECES + 2)
    course = smooth(knots, np.sin(knots)[:, None], np.cos(knots)[:, None])
    with pytest.raises(InputError, match=r"the input 'u' goes in 1,002 pieces .* holds 1,000; give it in steps"):
        as_model(driven(course))


def test_a_function_of_python_that_its_name_does_not_tell_is_refused():
    for name, refused in (("my own", True), ("cos(x)", True), ("sin(x)", False)):
        data = observed(lambda t, y: [1.5 - np.sin(y[0])], [[0.1], [3.0]], 6, 60)
        model = discover(*data, Polynomial(0, {name: np.sin}), names=["x"])
        if refused:
            with pytest.raises(InputError, match=rf"the term '{re.escape(name)}' is a function of Python"):
                as_model(model)
        else:
            see_that_curves_are_those_of_the_model(model)
