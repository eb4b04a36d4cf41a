"""What a compiled screen is made of, each part beside what NumPy and the compiled loops make of the same."""

import numpy as np
import pytest

from mechscreen.emulators.ensemble import combine_members
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.spaces import Parameter, ParameterSpace, Prior, Sampler
from mechscreen.tally import Counts

jax = pytest.importorskip("jax")
from mechscreen.device.combination import combine  # noqa: E402
from mechscreen.device.draws import Source, on_host  # noqa: E402
from mechscreen.device.planes import Planes  # noqa: E402

N = 3000


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


SPACE = [
    Parameter("even", -2.0, 5.0),
    Parameter("decades", 1e-4, 1e2, scale="log"),
    Parameter("normal", 0.0, 3.0, prior=Prior("normal", loc=1.0, scale=0.5)),
    Parameter("tail", 2.0, 3.0, prior=Prior("normal", loc=0.0, scale=0.5)),
    Parameter("lognormal", 0.1, 9.0, scale="log", prior=Prior("lognormal", s=0.7, scale=2.0)),
    Parameter("evenly over decades", 0.1, 9.0, prior=Prior("loguniform")),
    Parameter("whole", 1, 40, integer=True),
    Parameter("whole of decades", 1, 1000, integer=True, scale="log"),
    Parameter("levels", 1, 100, levels=(1.0, 10.0, 100.0)),
    Parameter("names", 0, 2, categories=("wild", "mutant", "double")),
    Parameter("held", 0.3, 0.3),
]
GAMMA = Parameter("gamma", 0.0, 9.0, prior=Prior("gamma", a=2.0))
CONSTRAINED = ParameterSpace(
    [Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0), Parameter("c", 1e-3, 1.0, scale="log")],
    derived={"d": "log(a - b)"},
    constraints=["a < 2 * b", "d + log10(c) > -3 or max(a, c) < 0.1"],
)
SPACES = {"all kinds": ParameterSpace(SPACE), "gamma": ParameterSpace([*SPACE, GAMMA]), "constrained": CONSTRAINED}


@pytest.mark.parametrize("method", ["uniform", "sobol"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_sets_drawn_in_a_program_are_those_that_the_sampler_draws(space, method):
    sampler = Sampler(space, method, 3, "screen")
    varied = list(space.varied)
    source, start = Source(sampler, varied), 2**27 - 1000
    assert source.last(start, start + N) == (start + 1000 if method == "sobol" else start + N)
    for begin in (0, start + 1000):
        expected = sampler.draw(begin, begin + N)
        index = np.arange(begin, begin + N, dtype=np.uint64)
        drawn = jax.jit(source.__call__)(index, source.tables(begin))
        told = space.normalise(expected.physical).astype(np.float32)
        # Two units in the last place of float32, relative to the axis where it goes through zero.
        np.testing.assert_allclose(drawn.normalised, told, rtol=2.4e-7, atol=2.4e-7)
        np.testing.assert_allclose(drawn.position, expected.position[:, varied], rtol=1e-12, atol=1e-12)
        assert not drawn.unknown.any()
    if space is CONSTRAINED:
        assert not space.allowed(space.draw(np.random.default_rng(0).random((N, 3))).physical).all()


def test_what_scipy_alone_can_draw_is_said():
    assert on_host(Sampler(SPACES["all kinds"], "uniform", 0, "screen")) == ""
    assert on_host(Sampler(SPACES["gamma"], "uniform", 0, "screen")) == "the quantiles of gamma (gamma) are SciPy's"


OUTPUTS = {
    "profiles": [Output("p", np.arange(20), compare="shape"), Output("q", np.arange(20), compare="shape")],
    "values": [Output("p", np.arange(20)), Output("n", np.arange(7), scale="linear"), Output("m", scale="log")],
    "a value that may be missing": [Output("period", given="has"), Output("has"), Output("nothing", compare="nothing")],
}


@pytest.mark.parametrize("members", [1, 2, 3, 5])
@pytest.mark.parametrize("how", ["vote", "mean"])
@pytest.mark.parametrize("outputs", OUTPUTS.values(), ids=OUTPUTS)
def test_members_are_combined_as_the_compiled_loop_does(outputs, how, members):
    rng = np.random.default_rng(2)
    distance = Distance.of(outputs, rng.uniform(0.5, 2, len(outputs)))
    shape = distance.outputs.shape
    profiles = rng.random((members, N, *shape), np.float32)
    log_peaks = rng.normal(size=(members, N, len(outputs))).astype(np.float32)
    each = [{"profiles": p, "log_peaks": q} for p, q in zip(profiles, log_peaks, strict=True)]
    expected = combine_members(each, how, distance)
    said, peaks, disagreement = jax.jit(lambda p, q: combine(p, q, distance, how))(profiles, log_peaks)
    np.testing.assert_allclose(disagreement, expected.disagreement, rtol=1e-5)
    np.testing.assert_allclose(said, expected.profiles, rtol=1e-6)
    np.testing.assert_allclose(peaks, expected.log_peaks, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axes", [0, 1, 2, 5])
def test_histograms_are_those_that_are_counted_one_by_one_and_leave_out_what_has_no_class(axes):
    rng = np.random.default_rng(4)
    position, labels = rng.random((N, axes)), rng.integers(-1, 3, N)
    planes = Planes(3, axes, 7)
    found = planes.gathered(jax.jit(planes.count)(labels.astype(np.int32), position))
    counts = Counts.zeros(3, axes, 7)
    known = labels >= 0
    counts.add(position[known], labels[known], np.zeros(known.sum()), 1.0)
    np.testing.assert_array_equal(found, counts.planes)
    np.testing.assert_array_equal(planes.gathered(planes.zeros()), 0 * found)
