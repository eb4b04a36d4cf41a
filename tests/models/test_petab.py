"""PEtab problems: likelihoods against SciPy's distributions and closed solutions, and 13 published problems."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import solve_ivp

antimony = pytest.importorskip("antimony")
pytest.importorskip("roadrunner")
pytest.importorskip("petab")

from mechscreen import get_model  # noqa: E402
from mechscreen.errors import InputError  # noqa: E402
from mechscreen.models.petab import FLOOR, PetabModel  # noqa: E402
from mechscreen.models.petab_formulas import read_formula  # noqa: E402
from mechscreen.objectives.conditions import Conditions  # noqa: E402
from petab_problems import agreement, problems  # noqa: E402

PUBLISHED = Path(__file__).parents[3] / "shared/data/petab"

# X is driven by u and decays: x(t) = a u/b + (x(0) − a u/b) e^(−b t). Y follows it with what a condition says.
DRIVEN = """
model driven
  compartment c = 1; species X in c, Y in c; X = 0.5; Y = y0; a = 2; b = 1; u = 1; y0 = 3; k = 0.2;
  J1: -> X; a*u*c; J2: X -> ; b*X*c; J3: Y -> ; k*Y*c;
end
"""


def table(text):
    return "\n".join("\t".join(line.split()) for line in text.strip().splitlines()).replace("NONE", "") + "\n"


@pytest.fixture
def write(tmp_path):
    """Write a problem from its parts, of which some may be others, and return its file."""

    def written(model, *, parameters, conditions, observables, measurements, **yaml_keys):
        antimony.clearPreviousLoads()
        assert antimony.loadAntimonyString(model) >= 0, antimony.getLastError()
        (tmp_path / "model.xml").write_text(antimony.getSBMLString(antimony.getMainModuleName()))
        names = ("parameters", "conditions", "observables", "measurements")
        for name, text in zip(names, (parameters, conditions, observables, measurements), strict=True):
            (tmp_path / f"{name}.tsv").write_text(table(text))
        parts = {
            "sbml_files": ["model.xml"],
            "condition_files": ["conditions.tsv"],
            "observable_files": ["observables.tsv"],
            "measurement_files": ["measurements.tsv"],
        }
        content = {"format_version": 1, "parameter_file": "parameters.tsv", "problems": [parts]} | yaml_keys
        (tmp_path / "problem.yaml").write_text(yaml.safe_dump(content))
        return str(tmp_path / "problem.yaml")

    return written


RESTED = {
    "parameters": """
        parameterId parameterScale lowerBound upperBound nominalValue estimate
        a     log10 0.01 100 2   1
        b     lin   0.1  10  1   1
        dose  log   0.1  10  4   1
        gain1 lin   0    5   1.5 1
        gain2 lin   0    5   0.7 0
        sd    log10 0.01 10  0.3 1
    """,
    "conditions": """
        conditionId u    Y
        low         0.5  NONE
        high        dose 7
        kept        dose NONE
    """,
    "observables": """
        observableId observableFormula             noiseFormula               noiseDistribution
        x            observableParameter1_x*X      noiseParameter1_x          laplace
        y            Y+0.1*time                    0.1+0.05*Y+noiseParameter1_y  normal
    """,
    "measurements": """
        observableId preequilibrationConditionId simulationConditionId measurement time observableParameters noiseParameters
        x low  high 2.0 0   gain1 sd
        x low  high 5.0 0.5 gain1 sd
        x low  high 4.1 0.5 gain2 0.25
        x low  high 9.0 inf gain1 sd
        x NONE high 3.0 1   gain1 sd
        y low  high 5.5 2   NONE  sd
        y low  high 5.1 2   NONE  sd
        y NONE kept 2.8 1   NONE  0.2
        y NONE kept 2.1 3   NONE  0.2
    """,  # noqa: E501 - a row of a table
}


def x_at(t, a, b, u, start):
    return a * u / b + (start - a * u / b) * np.exp(-b * t)


def test_preequilibration_overrides_rest_and_laplace_noise_are_as_scipy_has_them(write):
    model = PetabModel(write(DRIVEN, **RESTED))
    assert model.space.names == ("a", "b", "dose", "gain1", "sd")
    sets = np.array([[2.0, 1.0, 4.0, 1.5, 0.3], [0.7, 2.5, 1.3, 0.4, 0.05]])
    observables, fit, reasons = model.compare(sets)
    assert reasons == ["", ""]
    found = dict(zip([series.name for series in model.problem.series], observables, strict=True))
    for n, (a, b, dose, gain, sd) in enumerate(sets):
        start = a * 0.5 / b
        after = [x_at(t, a, b, dose, start) for t in (0.0, 0.5)]
        assert found["x.high.after_low.with_gain1"][n] == pytest.approx(gain * np.array(after), rel=1e-7)
        assert found["x.high.after_low.with_gain2"][n] == pytest.approx([0.7 * after[1]], rel=1e-7)
        assert found["x.high.after_low.with_gain1.at_rest"][n] == pytest.approx([gain * a * dose / b], rel=1e-6)
        assert found["x.high.after_nothing"][n] == pytest.approx([gain * x_at(1.0, a, b, dose, 0.5)], rel=1e-7)
        # Y is set by the condition after the rest in which it had vanished, and as the model says where it is not.
        y_high, y_kept = 7 * math.exp(-0.4) + 0.2, 3 * np.exp([-0.2, -0.6]) + [0.1, 0.3]
        assert found["y.kept"][n] == pytest.approx(y_kept, rel=1e-7)
        x_scale = [sd, sd, 0.25, sd, sd]
        x_loc = [gain * after[0], gain * after[1], 0.7 * after[1], gain * a * dose / b]
        x_loc.append(gain * x_at(1.0, a, b, dose, 0.5))
        of_x = stats.laplace.logpdf([2.0, 5.0, 4.1, 9.0, 3.0], x_loc, x_scale).sum()
        y_loc = np.array([y_high, y_high, *y_kept])
        y_scale = 0.1 + 0.05 * (y_loc - [0.2, 0.2, 0.1, 0.3]) + np.array([sd, sd, 0.2, 0.2])
        y = np.array([5.5, 5.1, 2.8, 2.1])
        assert fit.llh[n] == pytest.approx(of_x + stats.norm.logpdf(y, y_loc, y_scale).sum(), rel=1e-5)
        residuals = np.concatenate([(np.array([2.0, 5.0, 4.1, 9.0, 3.0]) - x_loc) / x_scale, (y - y_loc) / y_scale])
        assert fit.chi2[n] == pytest.approx((residuals**2).sum(), rel=1e-5)


DECAY = "model decay\n compartment c = 1; species A in c; A = a0; a0 = 5; k = 0.3; J: A -> ; k*A*c;\nend"
LOGARITHMIC = {
    "parameters": """
        parameterId parameterScale lowerBound upperBound nominalValue estimate
        a0 log10 0.1  100 5   1
        k  log10 1e-3 100 0.3 1
        sd log10 1e-3 10  0.1 1
    """,
    "conditions": "conditionId\none",
    "observables": """
        observableId observableFormula observableTransformation noiseFormula noiseDistribution
        ten          A                 log10                    sd           normal
        natural      2*A               log                      0.2          laplace
    """,
    "measurements": """
        observableId simulationConditionId measurement time
        ten     one 4.1 0
        ten     one 3.9 0
        ten     one 2.2 2
        ten     one 1.5 5
        natural one 6.0 2
        natural one 2.0 5
    """,
}


def test_noise_on_logarithmic_scales_has_the_density_of_the_measured_value(write):
    model = PetabModel(write(DECAY, **LOGARITHMIC))
    a0, k, sd = 6.0, 0.25, 0.15
    solution = model.solve(np.array([[a0, k, sd]]), np.zeros(1, np.uint64))
    ten = stats.lognorm.logpdf(
        [4.1, 3.9, 2.2, 1.5], s=sd * math.log(10), scale=a0 * np.exp(-k * np.array([0, 0, 2, 5]))
    )
    natural = stats.loglaplace.logpdf([6.0, 2.0], c=1 / 0.2, scale=2 * a0 * np.exp(-k * np.array([2, 5])))
    expected = ten.sum() + natural.sum()
    assert solution.profiles["llh"][0] == pytest.approx(expected, rel=1e-8)
    parts = solution.profiles["misfit"][0] + solution.profiles["noise"][0]
    assert -2 * solution.profiles["llh"][0] == pytest.approx(parts)
    assert solution.profiles["ten.one"][0] == pytest.approx(a0 * np.exp(-k * np.array([0, 2, 5])), rel=1e-8)
    assert {output.name: output.scale for output in model.outputs}["ten.one"] == "log"


def test_sets_do_not_influence_one_another(write):
    model = PetabModel(write(DRIVEN, **RESTED))
    sets = np.array([[2.0, 1.0, 4.0, 1.5, 0.3], [0.7, 2.5, 1.3, 0.4, 0.05], [50.0, 0.2, 9.0, 3.0, 1.0]])
    forth, back = model.compare(sets)[1], model.compare(sets[::-1])[1]
    assert np.array_equal(forth.llh, back.llh[::-1])
    assert forth.llh[1] == model.compare(sets[1:2])[1].llh[0]


def test_sets_that_differ_by_how_they_are_measured_are_simulated_once(write, monkeypatch):
    file = write(DRIVEN, **RESTED)
    model = PetabModel(file)
    assert model.measuring == ("gain1", "sd")
    simulated = []
    run = PetabModel._run
    monkeypatch.setattr(PetabModel, "_run", lambda self, *given: simulated.append(given) or run(self, *given))
    sets = np.array([[2.0, 1.0, 4.0, 1.5, 0.3], [2.0, 1.0, 4.0, 0.4, 0.1], [2.0, 1.5, 4.0, 0.4, 0.1]])
    _, fit, _ = model.compare(sets)
    assert len(simulated) == 2 * len(model.problem.experiments)
    for row, llh in zip(sets, fit.llh, strict=True):
        assert PetabModel(file).compare(row[None])[1].llh == llh


def test_what_has_decayed_below_what_solvers_can_tell_is_a_bad_fit_and_no_failure(write):
    model = PetabModel(write(DECAY, **LOGARITHMIC))
    simulations = model.simulate([[5.0, 90.0, 0.1]])
    assert simulations.reasons == ("",)
    assert simulations.status[0] == 0
    last = model.compare(np.array([[5.0, 90.0, 0.1]]))[0][0][0]
    assert last[1:] == pytest.approx([1.5 * FLOOR] * 2, rel=1e-9)


def test_an_observable_without_a_logarithm_fails_with_its_name(write):
    observables = LOGARITHMIC["observables"].replace("ten          A  ", "ten          A-1")
    model = PetabModel(write(DECAY, **(LOGARITHMIC | {"observables": observables})))
    simulations = model.simulate([[0.5, 0.3, 0.1], [100.0, 1e-3, 0.1]])
    assert simulations.reasons[0].startswith("'ten.one' is -0.5 at time 0, which has no likelihood")
    assert simulations.reasons[1] == ""


def test_noise_that_is_none_fails_with_its_name(write):
    observables = LOGARITHMIC["observables"].replace("sd           normal", "sd-1         normal")
    model = PetabModel(write(DECAY, **(LOGARITHMIC | {"observables": observables})))
    assert "'ten.one' has noise -0.9 at time 0, which is no deviation" in model.simulate([[5, 0.3, 0.1]]).reasons[0]


def test_what_never_rests_fails_with_what_changes(write):
    growing = DRIVEN.replace("J2: X -> ; b*X*c;", "J2: X -> ; 0*b*c;")
    model = PetabModel(write(growing, **RESTED))
    reason = model.simulate([[2.0, 1.0, 4.0, 1.5, 0.3]]).reasons[0]
    assert "not at rest by time" in reason
    assert "'X' still changes, by 1 in a unit of time" in reason


def test_conditions_of_an_objective_speak_of_observables_and_of_the_fit(write):
    model = PetabModel(write(DECAY, **LOGARITHMIC))
    texts = {"fits": "chi2 < 20 and final(ten.one) < 2", "off": "misfit + noise >= 20"}
    objective = Conditions(texts).bind(tuple(model.outputs))
    found = model.solve(np.array([[5.0, 0.3, 0.3], [90.0, 5.0, 0.01]]), np.zeros(2, np.uint64)).profiles
    assert [objective.class_names[k] for k in objective(found)] == ["fits", "off"]


def test_priors_are_those_that_campaigns_draw_from(write):
    parameters = """
        parameterId parameterScale lowerBound upperBound nominalValue estimate objectivePriorType objectivePriorParameters
        a0 log10 0.1  100 5   1 parameterScaleNormal  0.5;0.2
        k  lin   0    100 0.3 1 parameterScaleUniform 1;3
        sd log10 1e-3 10  0.1 1 uniform               0.1;20
    """  # noqa: E501 - a row of a table
    space = PetabModel(write(DECAY, **(LOGARITHMIC | {"parameters": parameters}))).space
    u = np.linspace(0.01, 0.99, 99)
    a0 = 10 ** stats.truncnorm.ppf(u, (-1 - 0.5) / 0.2, (2 - 0.5) / 0.2, loc=0.5, scale=0.2)
    assert space["a0"].draw(u)[0] == pytest.approx(a0)
    assert space["k"].draw(u)[0] == pytest.approx(1 + 2 * u)
    assert space["sd"].draw(u)[0] == pytest.approx(0.1 + 9.9 * u)
    assert space["sd"].scale == "log"


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        (
            "parameters",
            "estimate\n",
            "estimate objectivePriorType objectivePriorParameters\n",
            "laplace is not drawn from",
        ),
        ("observables", "log10                    sd           normal", "log10 sd cauchy", "cauchy"),
        ("observables", "ten          A  ", "ten          Z  ", "Z"),
        ("observables", "ten          A  ", "ten          A*(", "A\\*\\("),
        ("measurements", "ten     one 4.1", "ten     one -4.1", r"-4\.1"),
        ("measurements", "ten     one 4.1 0", "ten     two 4.1 0", "two"),
        ("measurements", "ten     one 4.1 0", "ten     one 4.1 -1", "row 1: measurement 4.1 at time -1"),
        ("parameters", "0.1  100 5   1", "0    100 5   1", "a0 must be positive"),
        (
            "conditions",
            "conditionId\none",
            "conditionId a0\none 3",
            r"Extraneous parameter\(s\) in parameter table: {'a0'}",
        ),
        ("conditions", "conditionId\none", "conditionId q\none 3", "unknown entity 'q'"),
    ],
)
def test_what_tables_say_that_is_not_done_is_refused_by_name(write, part, old, new, message):
    text = LOGARITHMIC[part].replace(old, new)
    assert text != LOGARITHMIC[part]
    if "Prior" in new:
        text = "\n".join(f"{line} laplace 1;1" if " 1" in line else line for line in text.splitlines())
    with pytest.raises(InputError, match=message):
        PetabModel(write(DECAY, **(LOGARITHMIC | {part: text})))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"format_version": "2.0.0"}, "PEtab version 2.0.0; version 1 alone"),
        ({"extensions": {"sciml": {"version": 1}}}, r"extensions of PEtab \(sciml\)"),
        ({"problems": []}, "several problems or none"),
        ({"parameter_file": ["a.tsv", "b.tsv"]}, "parameter_file is .*; name one table"),
        ({"parameter_file": "gone.tsv"}, "gone.tsv: cannot be read"),
    ],
)
def test_problems_that_are_not_read_are_refused_by_name(write, keys, message):
    with pytest.raises(InputError, match=message):
        PetabModel(write(DECAY, **LOGARITHMIC, **keys))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": ""}, "its option 'file' names the problem"),
        ({"outputs": ["chi"]}, "no output 'chi'; did you mean 'chi2'"),
        ({"outputs": "chi2"}, "outputs is no list"),
        ({"scales": {"tem": "log"}}, "no 'tem'; did you mean 'ten'"),
        ({"scales": {"ten": "cubic"}}, "no scale 'cubic'"),
    ],
)
def test_options_that_are_wrong_are_named(write, options, message):
    file = write(DECAY, **LOGARITHMIC)
    with pytest.raises(InputError, match=message):
        get_model("petab", **{"file": file, **options})


def test_a_preequilibrated_model_with_events_is_refused(write):
    with pytest.raises(InputError, match="'high' is preequilibrated, and the model has events"):
        PetabModel(write(DRIVEN.replace("end\n", "at time > 1: k = 2;\nend\n"), **RESTED))


def test_a_file_of_the_problem_that_changes_is_seen(write):
    model = PetabModel(write(DECAY, **LOGARITHMIC))
    names = {"parameters.tsv", "model.xml", "conditions.tsv", "observables.tsv", "measurements.tsv"}
    assert {Path(file).name for file in model.files} == names


NUMBERS = st.floats(0.1, 9.0).map(lambda value: f"{value:.3f}")
FORMULAS = st.recursive(
    st.one_of(NUMBERS, st.sampled_from(["A", "noiseParameter1_A", "lambda_"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"exp(-abs({part}))"),
        st.tuples(inner, st.sampled_from(["2", "3"])).map(lambda parts: f"({parts[0]})^{parts[1]}"),
    ),
    max_leaves=8,
)


@given(FORMULAS)
@settings(max_examples=60, deadline=None)
def test_formulas_mean_what_they_mean_in_python(text):
    names = {"A": 1.7, "noiseParameter1_A": 0.3, "lambda_": 2.5}
    try:
        expected = eval(text.replace("^", "**"), {"exp": math.exp, "abs": abs}, dict(names))
    except (ZeroDivisionError, OverflowError):
        return
    found = read_formula(text, "formula")(names, (2, 3))
    assert found.shape == (2, 3)
    # Where a difference cancels, its last digits are its own.
    assert found == pytest.approx(np.full((2, 3), expected), rel=1e-6, abs=1e-6)


@given(st.text(max_size=12))
@example("0/0")
@example("1e999")
@settings(max_examples=60, deadline=None)
def test_texts_that_are_no_formulas_are_refused_and_nothing_else_happens(text):
    try:
        read_formula(text, "observable 'x'")
    except InputError as error:
        assert str(error).startswith("observable 'x'")  # noqa: PT017 - one of both ends is right


needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the PEtab problems in ../shared/data/petab")
FILES = problems(PUBLISHED) if PUBLISHED.is_dir() else []


@needs_published
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_published_problems_come_out_as_published_and_their_likelihood_as_the_petab_library_has_it(file):
    found = agreement(file)
    if found.largest is None:
        assert math.isfinite(found.llh[0])
        return
    assert found.largest < 1e-3
    assert found.chi2[0] == pytest.approx(found.chi2[1], rel=1e-3)
    assert found.llh[0] == pytest.approx(found.llh[1], rel=1e-3)


@needs_published
def test_the_published_simulation_that_is_not_of_the_nominal_values_is_not_what_scipy_finds_either():
    file = PUBLISHED / "Perelson_Science1996/Perelson_Science1996.yaml"
    model = PetabModel(str(file))
    p = {name: parameter.nominal for name, parameter in model.problem.parameters.items()}

    def change(t, y):
        infected, infectious, other = y
        new = p["K0"] * p["T0"] * infectious - p["delta"] * infected
        return [new, -p["c"] * infectious, p["NN"] * p["delta"] * infected - p["c"] * other]

    series = model.problem.series[0]
    solved = solve_ivp(change, (0, 7), [15061.32075, 1860000, 0], "LSODA", series.times, rtol=1e-10, atol=1e-6)
    found = model.compare(np.array([[p[name] for name in model.space.names]]))[0][0][0]
    assert found == pytest.approx(solved.y[1] + solved.y[2], rel=1e-6)
    assert agreement(file, as_published=True).largest > 0.4
