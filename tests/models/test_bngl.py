"""BioNetGen's networks: against SciPy, exact solutions, libroadrunner on the same network, and the SBML Test Suite."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import norm, poisson

bngsim = pytest.importorskip("bngsim")

from campaigns import NETWORK  # noqa: E402
from mechscreen import get_model  # noqa: E402
from mechscreen.errors import InputError  # noqa: E402
from mechscreen.models import Outputs, Status  # noqa: E402
from mechscreen.models.base import read_solution  # noqa: E402
from mechscreen.models.bngl import BNGLModel  # noqa: E402
from mechscreen.models.conditioned import Conditioned  # noqa: E402
from mechscreen.models.densities import normal_reference  # noqa: E402

SUITE = Path(__file__).parents[3] / "shared/data/sbml-test-suite"
LAWS = """
begin parameters
  1 k1 0.5
  2 Km 10
  3 n 2
  4 kf 1.5
  5 A0 100
  6 E0 5
  7 twice 2*k1
end parameters
begin functions
  1 wave() k1*(1+sin(time()))
  2 gate() if(time()>4,2,0.1)
  3 made() ln(A0)+exp(-E)
end functions
begin species
  1 A() A0
  2 B() 0
  3 $E() E0
  4 C() 3
  5 D() 0
end species
begin reactions
  1 1,3 2,3 MM k1 Km
  2 2 4 Sat kf Km
  3 4 1 Hill kf Km n
  4 1 5 wave
  5 5 0 gate
  6 0 4 made
end reactions
begin groups
  1 E 3
  2 Total 1,2*2
end groups
"""
BIRTH_AND_DEATH = """
begin parameters
  1 k 20
  2 d 1
end parameters
begin species
  1 A() 0
end species
begin reactions
  1 0 1 k
  2 1 0 d
end reactions
begin groups
  1 A 1
end groups
"""


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a network into a file."""

    def write(text, name="model.net"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def series(model, values, seed=0):
    solution = model.solve(np.array([values], float), np.array([seed], np.uint64))
    assert solution.reasons == [""]
    return {name: np.asarray(found)[0] for name, found in solution.profiles.items()}


def series_by_name(model, values):
    raw, reasons = read_solution(model.solve(np.array([values], float), np.zeros(1, np.uint64)), model.outputs, 1)
    assert reasons == [""]
    return {output.name: Outputs(model.outputs).of(raw, k)[0] for k, output in enumerate(model.outputs)}


def test_all_laws_functions_and_times_are_those_that_scipy_integrates(file):
    model = get_model(
        "bngl",
        file=file(LAWS),
        vary={"k1": [0.1, 1], "A0": [50, 200]},
        values={"B()": 7.0},
        outputs=["A()", "B()", "E()", "C()", "D()", "Total", "made", "twice"],
        end=10.0,
        points=101,
    )
    times = model.outputs[0].grid
    for k1, a0 in [(0.5, 100.0), (0.2, 60.0)]:

        def slope(t, y, k1=k1, a0=a0):
            a, b, e, c, d = y
            free = (a - 10 - e + math.sqrt((a - 10 - e) ** 2 + 40 * a)) / 2
            bound, saturated, hill = k1 * e * free / (10 + free), 1.5 * b / (10 + b), 1.5 * c**2 / (100 + c**2)
            turned, lost = k1 * (1 + math.sin(t)) * a, (2 if t > 4 else 0.1) * d
            made = math.log(a0) + math.exp(-e)
            return [hill - bound - turned, bound - saturated, 0, saturated - hill + made, turned - lost]

        start, parts = [a0, 7, 5, 3, 0], []
        for part in (times[:41], times[40:]):
            # A step at 4, which neither solver is to step over.
            found = solve_ivp(
                slope, (part[0] + 1e-12, part[-1]), start, "LSODA", rtol=1e-10, atol=1e-12, dense_output=True
            )
            parts.append(found.sol(np.maximum(part, part[0] + 1e-12)))
            start = found.y[:, -1]
        expected = np.concatenate([parts[0], parts[1][:, 1:]], axis=1)
        found = series(model, [k1, a0])
        for k, name in enumerate(["A()", "B()", "E()", "C()", "D()"]):
            assert found[name] == pytest.approx(expected[k], rel=1e-5, abs=1e-6), name
        assert found["Total"] == pytest.approx(expected[0] + 2 * expected[1], rel=1e-5)
        assert found["made"] == pytest.approx(math.log(a0) + math.exp(-5), rel=1e-9)
        assert (found["twice"] == 2 * k1).all()


def test_what_varies_and_what_comes_out_are_read_off_the_network(file):
    model = BNGLModel(file(LAWS))
    # Neither what follows from others, nor what the engine calls its own.
    assert model.space.names == ("k1", "Km", "n", "kf", "A0", "E0")
    assert (model.space["A0"].low, model.space["A0"].high, model.space["A0"].scale) == (10, 1000, "log")
    assert [output.name for output in model.outputs] == ["E", "Total"]
    assert set(model.document.quantities) == {
        *("k1", "Km", "n", "kf", "A0", "E0", "twice", "E", "Total", "wave", "gate", "made"),
        *("A()", "B()", "E()", "C()", "D()"),
    }


def test_a_later_start_shows_the_same_times_as_a_longer_series(file):
    whole = BNGLModel(file(LAWS), vary=["k1"], end=10.0, points=11, outputs=["D()"])
    late = BNGLModel(file(LAWS), vary=["k1"], start=5.0, end=10.0, points=6, outputs=["D()"])
    assert series(late, [0.5])["D()"] == pytest.approx(series(whole, [0.5])["D()"][5:], rel=1e-6)


def test_a_sample_follows_from_its_values_and_its_seed_alone(file):
    for options in ({}, {"method": "ssa", "trajectories": 3}):
        model = BNGLModel(file(NETWORK), vary={"k1": [0.1, 1], "E0": [5, 50]}, end=5.0, points=6, **options)
        sets, seeds = np.array([[0.5, 10], [0.2, 40], [0.9, 7]]), np.array([3, 4, 5], np.uint64)
        together = model.solve(sets, seeds).profiles
        for order in ([2, 1, 0], [1]):
            apart = model.solve(sets[order], seeds[order]).profiles
            for name, found in together.items():
                assert np.array_equal(apart[name], found[order]), name


# The enzyme of NETWORK with the same numbers, its stoichiometry as reactions that SBML has.
ENZYME = """
model enzyme
  compartment c = 1;
  substanceOnly species S in c, E in c, ES in c, P in c, R in c;
  S = 80; E = E0; ES = 0; P = 0; R = 0;
  k1 = 0.02; k2 = 0.1; k3 = 0.3; d = 0.05; top = 4; half = 20; E0 = 10;
  J1: S + E -> ES; k1*S*E
  J2: ES -> S + E; k2*ES
  J3: ES -> E + P; k3*ES
  J4: -> R; top*P/(half + P)
  J5: R -> ; d*R
end
"""
NAMES = {"S": "S()", "ES": "E(s!1).S(e!1)", "P": "P", "R": "R"}


def both_engines(file, **options):
    pytest.importorskip("roadrunner")
    vary = {"k1": [0.001, 0.1], "top": [1, 10]}
    by_roadrunner = get_model("sbml", file=file(ENZYME, "model.ant"), vary=vary, outputs=list(NAMES), **options)
    by_bngsim = BNGLModel(file(NETWORK), vary=vary, outputs=NAMES, **options)
    return by_roadrunner, by_bngsim


def test_libroadrunner_solves_the_same_network_alike(file):
    models = both_engines(file, end=60.0, points=31)
    for values in ([0.02, 4.0], [0.002, 9.0], [0.09, 1.5]):
        one, other = (series(model, values) for model in models)
        for name in NAMES:
            assert other[name] == pytest.approx(one[name], rel=1e-5, abs=1e-6), name


def test_libroadrunner_has_trajectories_of_the_same_means_and_deviations(file):
    number = 400
    models = both_engines(file, end=40.0, points=5, method="ssa", trajectories=number)
    one, other = (series(model, [0.02, 4.0], seed=8) for model in models)
    for name in NAMES:
        spread = np.maximum(one[f"sd of {name}"], other[f"sd of {name}"])
        assert (np.abs(one[name] - other[name]) <= 4 * spread * math.sqrt(2 / number) + 1e-9).all(), name
        # The deviation of n normal values is off by 1/√(2n).
        assert other[f"sd of {name}"][1:] == pytest.approx(one[f"sd of {name}"][1:], rel=4 / math.sqrt(number), abs=0.2)


def test_trajectories_have_the_moments_of_the_master_equation(file):
    pairs = BIRTH_AND_DEATH.replace("1 A() 0", "1 A() A0\n  2 B() 0").replace("2 d 1", "2 d 0.1\n  3 A0 12")
    # Of a pair of the same, BioNetGen halves the constant.
    pairs = pairs.replace("1 0 1 k\n  2 1 0 d", "1 1,1 2 d\n  2 2 1,1 d")
    number, last = 2000, 1.5
    model = BNGLModel(file(pairs), method="ssa", trajectories=number, vary=["d"], end=last, points=4)
    # States are numbers of pairs; d a (a − 1) of them are made in a unit of time, and d b taken apart.
    rates = np.zeros((7, 7))
    for b in range(7):
        a = 12 - 2 * b
        for to, rate in ((b + 1, 0.1 * a * (a - 1)), (b - 1, 0.1 * b)):
            if 0 <= to < 7:
                rates[to, b] += rate
                rates[b, b] -= rate
    found = series(model, [0.1], seed=5)
    for t, mean, sd in zip(model.outputs[0].grid, found["A"], found["sd of A"], strict=True):
        shares = expm(rates * t)[:, 0]
        numbers = 12 - 2 * np.arange(7)
        expected = shares @ numbers
        spread = math.sqrt(max(shares @ numbers**2 - expected**2, 0))
        assert abs(mean - expected) <= 4 * spread / math.sqrt(number) + 1e-9
        assert sd == pytest.approx(spread, rel=4 / math.sqrt(number), abs=1e-6)


def test_a_birth_death_process_ends_in_poissons_distribution(file):
    number, grid = 2000, {"start": 0, "end": 45, "points": 46}
    model = BNGLModel(
        file(BIRTH_AND_DEATH),
        method="ssa",
        trajectories=number,
        outputs={"A": "A", "p": {"of": "A", "density": grid}},
        end=12.0,
        points=2,
    )
    assert [(output.name, output.shape) for output in model.outputs] == [("A", (2,)), ("p", (46,)), ("sd of A", (2,))]
    found = series(model, [20.0, 1.0], seed=2)
    width = normal_reference(poisson.rvs(20, size=number, random_state=1).astype(float))
    counts = np.arange(100)
    expected = norm.pdf(np.arange(46.0)[:, None], counts, width) @ poisson.pmf(counts, 20)
    # Four standard errors of a mean of so many kernels.
    spread = np.sqrt(norm.pdf(np.arange(46.0)[:, None], counts, width) ** 2 @ poisson.pmf(counts, 20) / number)
    assert (np.abs(found["p"] - expected) <= 4 * spread + 1e-3).all()
    assert found["p"].sum() == pytest.approx(1, abs=1e-3)


def test_conditions_and_doses_hold_for_themselves_alone(file):
    dose = {"parameter": "k2", "low": 0.05, "high": 0.5, "points": 3}
    asked = {"vary": {"k1": [0.001, 0.1]}, "end": 20.0, "points": 5}
    model = BNGLModel(file(NETWORK), outputs={"P": "P", "curve": {"of": "P", "dose": dose}}, **asked)
    model = Conditioned(model, {"wild": {}, "weak": {"k3": 0.01}})
    for _ in range(2):
        found = series_by_name(model, [0.02])
        for name, k3 in [("wild", {}), ("weak", {"k3": 0.01})]:
            alone = BNGLModel(file(NETWORK), values=k3, outputs=["P"], **asked)
            assert found[f"{name}.P"] == pytest.approx(series(alone, [0.02])["P"], rel=1e-12), name
            for k2, response in zip(model.outputs[1].grid, found[f"{name}.curve"], strict=True):
                alone = BNGLModel(file(NETWORK), values={"k2": k2, **k3}, outputs=["P"], **asked)
                assert response == pytest.approx(series(alone, [0.02])["P"][-1], rel=1e-6), (name, k2)


def plain(case):
    """Return whether a network can say what a case does: amounts are concentrations, and all is done by reactions."""
    libsbml = pytest.importorskip("libsbml")
    model = libsbml.readSBMLFromFile(str(case.model_file)).getModel()
    if model is None or model.getNumEvents():
        return False
    following = {rule.getVariable() for rule in model.getListOfRules()}
    following |= {item.getSymbol() for item in model.getListOfInitialAssignments()}
    changing = [species for species in model.getListOfSpecies() if not species.getBoundaryCondition()]
    return (
        bool(model.getNumReactions() and changing)
        and not any(reaction.getFast() for reaction in model.getListOfReactions())
        and all(c.getId() not in following for c in model.getListOfCompartments())
        and all(c.getSize() == 1 or not c.isSetSize() for c in model.getListOfCompartments())
    )


def as_network(case, folder):
    path = folder / f"{case.folder.name}.net"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            bngsim.sbml_to_net(case.model_file, path, validate=None)
        except Exception as error:  # of many kinds
            pytest.skip(f"bngsim makes no network of it: {error}")
    # Something has to vary.
    text = path.read_text()
    path.write_text(text.replace("end parameters", "  999 unused_beside_the_model 1\nend parameters"))
    return str(path)


def suite(kind, step=1):
    pytest.importorskip("roadrunner")
    from sbml_suite import cases

    return [case for case in cases(SUITE, kind) if plain(case)][::step]


@pytest.mark.skipif(not SUITE.is_dir(), reason="needs the SBML Test Suite in ../shared/data/sbml-test-suite")
@pytest.mark.parametrize("case", suite("semantic", 5), ids=lambda case: case.folder.name)
def test_cases_of_the_sbml_test_suite_are_right_as_networks(case, tmp_path):
    settings = case.settings
    start, names = float(settings["start"]), case.names("variables")
    model = BNGLModel(
        as_network(case, tmp_path),
        outputs={name: {"of": name, "scale": "linear"} for name in names},
        vary=["unused_beside_the_model"],
        start=start,
        end=start + float(settings["duration"]),
        points=int(settings["steps"]) + 1,
    )
    found, expected = series(model, [1.0]), case.expected()
    for name in names:
        assert np.allclose(
            found[name], expected[name], rtol=float(settings["relative"]), atol=float(settings["absolute"])
        ), name


@pytest.mark.skipif(not SUITE.is_dir(), reason="needs the SBML Test Suite in ../shared/data/sbml-test-suite")
@pytest.mark.parametrize("case", suite("stochastic"), ids=lambda case: case.folder.name)
def test_stochastic_cases_of_the_suite_have_their_moments_as_networks(case, tmp_path):
    settings, number = case.settings, 200
    names = case.names("variables")
    model = BNGLModel(
        as_network(case, tmp_path),
        outputs=names,
        vary=["unused_beside_the_model"],
        method="ssa",
        trajectories=number,
        end=float(settings["duration"]),
        points=11,
    )
    found, expected = series(model, [1.0], seed=int(case.folder.name)), case.expected()
    for name in names:
        mean, sd = (expected[f"{name}-{what}"][:: int(settings["steps"]) // 10] for what in ("mean", "sd"))
        assert (np.abs(found[name] - mean) <= 4 * sd / math.sqrt(number) + 1e-9).all(), name
        assert (np.abs(found[f"sd of {name}"] ** 2 - sd**2) <= 5 * sd**2 * math.sqrt(2 / number) + 1e-9).all(), name


def test_initial_numbers_are_whole_where_trajectories_count_molecules(file):
    options = {"method": "ssa", "trajectories": 2, "outputs": ["P"], "end": 1.0, "points": 3}
    model = BNGLModel(file(NETWORK), vary={"E0": [4.5, 20.7], "k1": [0.01, 0.1], "P()": [0.5, 3]}, **options)
    assert (model.space["E0"].integer, model.space["E0"].low, model.space["E0"].high) == (True, 5, 20)
    assert (model.space["P()"].integer, model.space["k1"].integer) == (True, False)
    result = model.simulate([[10, 0.02, 2], [10.5, 0.02, 2]])
    assert result.status.tolist() == [Status.OK, Status.NOT_FINITE]
    assert "starts at 10.5, and trajectories count molecules" in result.reasons[1]


def test_trajectories_of_a_negative_rate_are_a_failed_sample(file):
    text = BIRTH_AND_DEATH.replace("begin species", "begin functions\n 1 law() k*(A-3)\nend functions\nbegin species")
    text = text.replace("2 1 0 d", "2 0 1 law").replace("1 A() 0", "1 A() 2")
    with pytest.warns(bngsim.SsaBoundaryWarning):
        result = BNGLModel(file(text), method="ssa", trajectories=2, vary=["k"], end=0.1, points=3).simulate([[20.0]])
    assert result.status[0] == Status.NOT_FINITE
    assert result.reasons[0].startswith("a rate is below zero in a trajectory (")


def test_a_set_that_cannot_be_integrated_is_told_of_and_the_next_is_solved(file):
    text = BIRTH_AND_DEATH.replace("begin species", "begin functions\n 1 law() k*A\nend functions\nbegin species")
    text = text.replace("2 1 0 d", "2 1 1,1 law").replace("1 0 1 k\n", "1 0 1 d\n").replace("1 A() 0", "1 A() 1")
    model = BNGLModel(file(text), vary={"k": [1, 20], "d": [0, 1]}, end=0.5, points=5)
    # It explodes at 1/k.
    solution = model.solve(np.array([[10.0, 0], [1.0, 0]]), np.zeros(2, np.uint64))
    assert "CVODE" in solution.reasons[0]
    assert np.isnan(solution.profiles["A"][0]).all()
    assert solution.profiles["A"][1][-1] == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no species and no reactions; give BioNetGen's .net, or .bngl"),
        ("<sbml/>", "is none of BioNetGen's files; SBML is read by the model 'sbml'"),
        (NETWORK[: NETWORK.index("  3 3 2,4")], "ends within its reactions; get it whole"),
        (NETWORK[: NETWORK.index("begin reactions")], "has no reactions"),
        (NETWORK.replace("4 0 5 made", "4 0 9 made"), r"the engine \(bngsim\) cannot read it \(.*index 9 out of range"),
        (NETWORK.replace("5 5 0 d", "5 5 0 dd"), "cannot read it .*unknown parameter 'dd'"),
        (NETWORK.replace("half+P", "half+Q"), "cannot read it .*Undefined symbol: 'Q'"),
        (
            NETWORK + "begin events\n 1 time()>3 E0=2\nend events\n",
            r"line \d+: has 'events', which the engine \(bngsim\)",
        ),
        (
            NETWORK + 'setParameter("d", 2)\n',
            r"line \d+: 'setParameter\(\"d\", 2\)' is no part of a network, nor carried",
        ),
    ],
)
def test_files_that_cannot_be_simulated_are_refused_with_the_reason(file, text, message):
    with pytest.raises(InputError, match=message):
        BNGLModel(file(text))


@pytest.mark.parametrize("law", ["1 wave() 2+sin(time())", "1 wave() tfun('drive.tfun')"], ids=["time", "table"])
def test_trajectories_of_rates_that_depend_on_time_are_refused(file, tmp_path, law):
    (tmp_path / "drive.tfun").write_text("# time wave\n0 1\n10 3\n")
    text = BIRTH_AND_DEATH.replace("begin species", f"begin functions\n  {law}\nend functions\nbegin species")
    path = file(text.replace("1 0 1 k", "1 0 1 wave"))
    model = BNGLModel(path, vary=["d"], end=10.0, points=11)
    assert model.files == ([str(tmp_path / "drive.tfun")] if "tfun" in law else [])
    rate = (lambda t: 1 + t / 5) if "tfun" in law else (lambda t: 2 + math.sin(t))
    expected = solve_ivp(lambda t, y: [rate(t) - y[0]], (0, 10), [0], "LSODA", np.arange(11), rtol=1e-9, atol=1e-10).y
    assert series(model, [1.0])["A"] == pytest.approx(expected[0], rel=1e-5)
    with pytest.raises(InputError, match="has functions that depend on time, which method: ssa does not follow"):
        BNGLModel(path, method="ssa")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": ""}, "model 'bngl': its option 'file' names the model; give BioNetGen's .net, or .bngl"),
        ({"file": "nowhere.net"}, "nowhere.net: cannot be read"),
        ({"outputs": ["T"]}, "model 'bngl', output 'T': no 'T'"),
        ({"outputs": {"p": {"of": "P", "density": [0, 1]}}}, "a density is over trajectories; take method: ssa"),
        ({"outputs": {"p": {"of": "P", "steady": True}}}, "output 'p': networks are not followed to a steady state"),
        ({"vary": ["made"]}, "'made' follows from others"),
        ({"vary": ["P"]}, "'P' follows from others"),
        ({"vary": ["R()"]}, r"vary 'R\(\)': its value is 0, so its range cannot be guessed"),
        ({"vary": ["k1"], "values": {"k1": 1}}, "k1: stands in 'values', and varies"),
        ({"method": "nf"}, "model 'bngl': no method 'nf'"),
    ],
)
def test_options_that_are_wrong_are_named(file, options, message):
    with pytest.raises(InputError, match=message):
        BNGLModel(**{"file": file(NETWORK), **options})


RULES = """
begin model
begin parameters
  kon 0.01
  koff 0.1
  A0 100
end parameters
begin molecule types
  A(b)
  B(a)
end molecule types
begin seed species
  A(b) A0
  B(a) 80
end seed species
begin observables
  Molecules AB A(b!1).B(a!1)
end observables
begin reaction rules
  A(b)+B(a) <-> A(b!1).B(a!1) kon,koff
end reaction rules
end model
simulate({method=>"ode",t_end=>10,n_steps=>10})
"""


def test_rules_without_bng2_are_refused_with_the_way_on(file, monkeypatch):
    for variable in ("BNGPATH", "BNG2_PL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", "")
    if bngsim.capabilities()["features"]["bngl"]:
        pytest.skip("PyBioNetGen is installed, which brings BNG2.pl")
    with pytest.raises(
        InputError, match=r"BNG2.pl, which makes a network of rules, is not found.*set BNGPATH.*\.net file"
    ):
        BNGLModel(file(RULES, "model.bngl"))


@pytest.mark.skipif(not bngsim.capabilities()["features"]["bngl"], reason="needs BNG2.pl; set BNGPATH to its folder")
def test_rules_become_a_network(file, tmp_path, monkeypatch):
    monkeypatch.setenv("BNGSIM_BNGL_CACHE_DIR", str(tmp_path))
    model = BNGLModel(file(RULES, "model.bngl"), end=50.0, points=2)
    assert model.space.names == ("kon", "koff", "A0")
    assert ", BioNetGen " in model.version
    # At the end, kon (A0 − x)(80 − x) = koff x.
    x = np.roots([0.02, -0.02 * 130 - 0.1, 0.02 * 50 * 80]).min()
    assert series(model, [0.02, 0.1, 50])["AB"][-1] == pytest.approx(x, rel=1e-5)
