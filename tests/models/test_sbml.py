"""Models from files: against the SBML Test Suite, SciPy, and the engine on files that were rewritten instead of set."""

import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

antimony = pytest.importorskip("antimony")
libsbml = pytest.importorskip("libsbml")
pytest.importorskip("roadrunner")

from campaigns import REPRESSILATOR  # noqa: E402
from mechscreen import get_model  # noqa: E402
from mechscreen.errors import InputError  # noqa: E402
from mechscreen.models.sbml import SBMLModel  # noqa: E402
from sbml_suite import cases, deviations, is_right  # noqa: E402

SUITE = Path(__file__).parents[3] / "shared/data/sbml-test-suite"
TIED = """
model tied
  compartment c = 2;
  species S in c, P in c; substanceOnly species Q in c;
  k = 3; j = 2*k; S = 4*j; P = 1; Q = 5;
  J1: S -> P; k2*S*c; k2 = 0.1
  J2: P -> Q; local*P; local = 0.3
  total := S + P
  at P > 20: k2 = 0.2*k
end
"""


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a model into a file."""

    def write(text, name="model.ant"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def as_sbml(text):
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(text) >= 0
    return antimony.getSBMLString(antimony.getMainModuleName())


def series(model, values):
    solution = model.solve(np.array([values], float), np.zeros(1, np.uint64))
    assert solution.reasons == [""]
    return {name: np.asarray(found)[0] for name, found in solution.profiles.items()}


def test_time_series_are_those_that_scipy_integrates(file):
    model = get_model("sbml", file=file(REPRESSILATOR), vary=["alpha", "n"], end=20.0, points=81)
    assert [p.name for p in model.space] == ["alpha", "n"]
    assert (model.space["alpha"].low, model.space["alpha"].high, model.space["alpha"].scale) == (5, 500, "log")

    def slope(_, y):
        return [alpha / (1 + y[(k + 2) % 3] ** n) - y[k] for k in range(3)]

    for alpha, n in [(50, 3), (20, 2), (200, 2.5)]:
        expected = solve_ivp(slope, (0, 20), [5, 1, 0], "LSODA", np.linspace(0, 20, 81), rtol=1e-10, atol=1e-12).y
        found = series(model, [alpha, n])
        for k, name in enumerate("ABC"):
            assert found[name] == pytest.approx(expected[k], rel=1e-5, abs=1e-6)


def rewritten(text, **values):
    """Return the SBML in which values at the start are others, for an engine that has to set none."""
    document = libsbml.readSBMLFromString(as_sbml(text))
    model = document.getModel()
    for name, value in values.items():
        item = model.getElementBySId(name)
        if item.getTypeCode() == libsbml.SBML_SPECIES:
            (item.setInitialAmount if item.getHasOnlySubstanceUnits() else item.setInitialConcentration)(value)
        elif item.getTypeCode() == libsbml.SBML_COMPARTMENT:
            item.setSize(value)
        else:
            item.setValue(value)
        assignment = model.getInitialAssignment(name)
        if assignment is not None:
            assignment.removeFromParentAndDelete()
    return libsbml.writeSBMLToString(document)


@pytest.mark.parametrize("values", [{"k": 5.0}, {"c": 3.0}, {"k": 1.0, "c": 0.5, "k2": 0.05}, {"P": 4.0, "Q": 2.0}])
def test_what_follows_from_values_at_the_start_follows_as_if_they_stood_in_the_file(file, values):
    asked = {"outputs": ["S", "P", "Q", "j", "k2", "total", "J1", "amount(S)"], "end": 8.0, "points": 41}
    ranges = {name: [value / 2, value * 2] for name, value in values.items()}
    model = SBMLModel(file(TIED), vary=ranges, **asked)
    # Another sample comes before, whose traces must not be seen: its event changed a parameter, too.
    series(model, [2 * value for value in values.values()])
    found = series(model, list(values.values()))
    other, value = ("k", 3.0) if "P" in values else ("P", 1.0)
    value = values.get(other, value)
    as_written = SBMLModel(file(rewritten(TIED, **values), "other.xml"), vary={other: [value, value]}, **asked)
    expected = series(as_written, [value])
    for name, wanted in expected.items():
        assert found[name] == pytest.approx(wanted, rel=1e-6, abs=1e-9), name


def test_a_species_that_is_set_keeps_its_value_whatever_its_model_derives_it_from(file):
    model = SBMLModel(file(TIED), vary={"S": [1, 10], "k": [1, 10]}, outputs=["S", "j"], end=1.0, points=3)
    for _ in range(2):
        found = series(model, [7.0, 5.0])
        assert (found["S"][0], found["j"][0]) == (7.0, 10.0)


def test_what_can_vary_and_what_it_is_are_read_off_the_model(file):
    model = SBMLModel(file(TIED))
    # Not j, which follows from k, nor k2, which an event changes.
    assert set(model.space.names) == {"k", "local"}
    assert [output.name for output in model.outputs] == ["S", "P", "Q"]
    with_local = as_sbml(TIED)
    local = libsbml.readSBMLFromString(with_local)
    law = local.getModel().getReaction("J2").getKineticLaw()
    parameter = law.createLocalParameter()
    parameter.setId("own")
    parameter.setValue(0.3)
    law.setMath(libsbml.parseL3Formula("own * P"))
    model = SBMLModel(file(libsbml.writeSBMLToString(local), "local.xml"), vary=["J2_own"])
    assert model.space["J2_own"].high == pytest.approx(3.0)


def test_a_later_start_shows_the_same_times_as_a_longer_series(file):
    whole = SBMLModel(file(REPRESSILATOR), vary=["alpha"], end=20.0, points=21)
    late = SBMLModel(file(REPRESSILATOR), vary=["alpha"], start=10.0, end=20.0, points=11)
    assert series(late, [50.0])["B"] == pytest.approx(series(whole, [50.0])["B"][10:], rel=1e-4)
    assert late.outputs[0].grid[0] == 10.0


def test_options_of_outputs_and_values(file):
    model = SBMLModel(
        file(REPRESSILATOR),
        vary=["alpha"],
        values={"decay": 2.0},
        outputs={"protein": "A", "lg": {"of": "B", "scale": "log", "floor": 1e-3}, "rate": "J1"},
        end=0.04,
        points=5,
    )
    assert [output.scale for output in model.outputs] == ["peak", "log", "linear"]
    found = series(model, [50.0])
    assert found["rate"][0] == pytest.approx(50.0)
    # Early on C is small, so that A' is about 50 − 2 A.
    assert found["protein"][1] == pytest.approx(25 + (5 - 25) * math.exp(-0.02), rel=0.01)


def test_units_are_those_of_the_model(file):
    text = """
    model units
      unit nM = 1e-9 mole / litre; unit volume = litre; unit per_min = 1 / (60 second);
      compartment c = 1; c has volume; species S in c; S = 3; S has nM;
      k = 0.1; k has per_min;
      J: S -> ; k*S*c;
    end
    """
    model = SBMLModel(file(text), outputs=["S"])
    assert model.space["k"].unit == "1/min"


def test_trajectories_have_the_moments_of_theory_and_follow_the_samples_seed(file):
    decay = "model decay\n compartment c = 1; substanceOnly species S in c; S = 40; k = 0.5; J: S -> ; k*S; end"
    model = SBMLModel(file(decay), method="ssa", trajectories=400, end=4.0, points=9)
    assert [output.name for output in model.outputs] == ["S", "sd of S"]
    same = [model.solve(np.array([[0.5], [0.5]]), np.array(seeds, np.uint64)) for seeds in ([3, 4], [4, 3])]
    assert np.array_equal(same[0].profiles["S"][0], same[1].profiles["S"][1])
    assert not np.array_equal(same[0].profiles["S"][0], same[0].profiles["S"][1])
    # Each molecule lives on with the probability e^(−k t).
    alive = np.exp(-0.5 * np.linspace(0, 4, 9))[1:]
    mean, sd = (same[0].profiles[name][0][1:] for name in ("S", "sd of S"))
    errors = np.sqrt(40 * alive * (1 - alive) / 400)
    assert np.abs(mean - 40 * alive).max() < 5 * errors.max()
    assert np.abs(sd**2 / (40 * alive * (1 - alive)) - 1).max() < 5 * math.sqrt(2 / 400)


def test_a_single_trajectory_is_one_that_can_happen(file):
    decay = "model decay\n compartment c = 1; substanceOnly species S in c; S = 10; k = 0.5; J: S -> ; k*S; end"
    found = series(SBMLModel(file(decay), method="ssa", trajectories=1, end=9.0, points=50), [0.5])["S"]
    assert (found == found.round()).all()
    assert (np.diff(found) <= 0).all()


def test_an_archive_holds_the_model_that_its_manifest_names(file, tmp_path):
    archive = tmp_path / "model.omex"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(
            "manifest.xml",
            '<omexManifest xmlns="http://identifiers.org/combine.specifications/omex-manifest">'
            '<content location="." format="http://identifiers.org/combine.specifications/omex"/>'
            '<content location="./a.xml" format="http://identifiers.org/combine.specifications/sbml.level-3.version-1"'
            ' master="true"/><content location="./b.xml" format="sbml"/></omexManifest>',
        )
        packed.writestr("a.xml", as_sbml(REPRESSILATOR))
        packed.writestr("b.xml", as_sbml(TIED))
    assert [output.name for output in SBMLModel(str(archive)).outputs] == ["A", "B", "C"]


def with_algebraic_rule():
    document = libsbml.readSBMLFromString(as_sbml(REPRESSILATOR))
    rule = document.getModel().createAlgebraicRule()
    rule.setMath(libsbml.parseL3Formula("A + B - 1"))
    return libsbml.writeSBMLToString(document)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("<sbml", "model.xml", r"model\.xml, line \d+: not valid SBML"),
        ("<html></html>", "model.xml", "not valid SBML"),
        ("model m\n J: A -> B; k*", "model.ant", "neither SBML nor Antimony"),
        (b"\xff\xfe\x00", "model.xml", "not UTF-8 text"),
        (with_algebraic_rule(), "model.xml", r"has algebraic rules, which the engine \(libroadrunner\) cannot solve"),
        ("model m\n k = 2; x := delay(k, 3); end", "model.ant", "has the delay function"),
        ("model m\n compartment c = 1; species S in c; S = 1; J: S ->; S; end", "model.ant", "no constant parameter"),
    ],
)
def test_files_that_cannot_be_simulated_are_refused_with_the_reason(file, text, name, message):
    with pytest.raises(InputError, match=message):
        SBMLModel(file(text, name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": "nowhere.xml"}, "nowhere.xml: cannot be read"),
        ({"file": ""}, "its option 'file' names the model"),
        ({"outputs": ["AA"]}, "output 'AA': no 'AA'; did you mean 'A'"),
        ({"outputs": ["amount(alpha)"]}, r"amount\(…\) is of a species"),
        ({"outputs": {"x": {"of": "A", "scal": "log"}}}, "no 'scal'; did you mean 'scale'"),
        ({"outputs": "A"}, r"outputs is text; write a list, \[A\]"),
        ({"vary": ["alfa"]}, "no 'alfa'; did you mean 'alpha'"),
        ({"vary": ["J1"]}, "'J1' is a rate"),
        ({"vary": ["C"]}, "vary 'C': its value is 0, so its range cannot be guessed"),
        ({"vary": {"alpha": [1]}}, r"is no range; give \[low, high\]"),
        ({"vary": {"alpha": ["a", 2]}}, "are not numbers"),
        ({"vary": {"alpha": [0, 1], "n": {"low": 0, "high": 4, "scale": "log"}}}, "log scale needs a range above 0"),
        ({"vary": ["alpha"], "values": {"alpha": 3}}, "alpha: stands in 'values', and varies"),
        ({"end": 0}, "time goes from 0 or later to a later end"),
        ({"points": 1}, "is not a whole number from 2"),
        ({"method": "sde"}, "no method 'sde'; did you mean 'ode'"),
        ({"method": "ssa", "trajectories": 0}, "trajectories = 0 is not a whole number above 0"),
    ],
)
def test_options_that_are_wrong_are_named(file, options, message):
    with pytest.raises(InputError, match=message):
        SBMLModel(**{"file": file(REPRESSILATOR), **options})


@pytest.mark.parametrize("change", ["at time > 2: S = 3", "S' = 1"], ids=["event at a time", "rate rule"])
def test_trajectories_of_what_changes_by_itself_are_refused(file, change):
    species = "species S in c, P in c; S = 9;" if "'" not in change else "species P in c; S = 1;"
    text = f"model m\n compartment c = 1; {species} k = 1; J: P -> ; k*P*c; {change}\nend"
    SBMLModel(file(text), outputs=["P"])
    with pytest.raises(InputError, match="which method: ssa does not follow"):
        SBMLModel(file(text), outputs=["P"], method="ssa")


def test_a_set_that_cannot_be_integrated_is_told_of_and_the_next_is_solved(file):
    text = "model m\n compartment c = 1; species S in c; S = 1; k = 1; J: -> S; k*S^2*c; end"
    model = SBMLModel(file(text), end=0.5, points=5)
    solution = model.solve(np.array([[10.0], [1.0]]), np.zeros(2, np.uint64))
    assert solution.reasons[0]
    assert np.isnan(solution.profiles["S"][0]).all()
    assert solution.profiles["S"][1][-1] == pytest.approx(2.0, rel=1e-5)


@pytest.mark.skipif(not SUITE.is_dir(), reason="needs the SBML Test Suite in ../shared/data/sbml-test-suite")
@pytest.mark.parametrize("case", cases(SUITE, "semantic")[::3], ids=lambda case: case.folder.name)
def test_cases_of_the_test_suite_are_right_or_refused_for_what_they_have(case, tmp_path):
    try:
        right, why = is_right(case, tmp_path)
    except InputError as error:
        assert "cannot solve" in str(error)  # noqa: PT017 - one of both ends is right
    else:
        assert right, why


@pytest.mark.skipif(not SUITE.is_dir(), reason="needs the SBML Test Suite in ../shared/data/sbml-test-suite")
def test_a_stochastic_case_of_the_test_suite_has_its_moments(tmp_path):
    case = next(case for case in cases(SUITE, "stochastic") if case.folder.name == "00005")
    off = np.abs(np.concatenate([*deviations(case, tmp_path, 300).values()]))
    # Neighbours in time are alike, so that one stray trajectory is seen at several points.
    assert np.mean(off <= 1) > 0.9
    assert off.max() < stats.norm.isf(1e-9) / 3


def test_an_event_at_the_very_start_happens_once_with_the_values_that_were_set(file):
    event = "at k > 2, t0=false: y = k"
    text = f"model m\n compartment c = 1; species S in c; S = 1; k = 3; y = 0; J: S -> ; k*S;\n {event}\n end"
    model = SBMLModel(file(text), vary={"k": [1, 9]}, outputs=["y", "k"], end=1.0, points=3)
    assert [series(model, [k])["y"][-1] for k in (5.0, 1.0, 7.0)] == [5.0, 0.0, 7.0]


def test_after_tensorflow_the_engine_is_refused_instead_of_ending_the_process(file):
    path = file(REPRESSILATOR)
    simulate = f"SBMLModel({path!r}).simulate([[50, 3, 1]])"
    code = f"import tensorflow\nfrom mechscreen.models.sbml import SBMLModel\n{simulate}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "libroadrunner cannot be loaded after TensorFlow into one process" in done.stderr
