"""Forms of terms: their unknowns have names of their own, and those of the user their limits."""

import numpy as np
import pytest
from click.testing import CliRunner

from mechscreen import InputError
from mechscreen.cli import cli
from mechscreen.discovery import Polynomial, Rational, discover
from mechscreen.discovery.forms import KINDS, Sizes


def test_an_unknown_is_called_as_no_variable_is():
    """Potassium, for example, is a variable K."""
    values = np.random.default_rng(0).uniform(1, 2, (30, 2))
    for shape in KINDS["auto"](Sizes.of(["K", "n"], values)):
        assert not {unknown.name for unknown in shape.unknowns} & {"K", "n"}
    t = np.linspace(0, 4, 40)
    y = [np.array([[start]]) for start in (3.0, 1.0)]
    y = [3 * np.exp(-0.7 * t)[:, None], np.exp(-0.7 * t)[:, None]]
    noisy = [own + 0.01 * np.random.default_rng(1).standard_normal(own.shape) for own in y]
    model = discover([t, t], noisy, Rational(), names=["K"])
    np.testing.assert_allclose(model.coefficients[0, 1], -0.7, rtol=0.05)
    assert model.support.sum() == 1


def test_all_kinds_are_in_one_and_rarer_than_monomials():
    sizes = Sizes.of(["x", "y"], np.random.default_rng(0).uniform(1, 2, (30, 2)))
    texts = {shape.text for kind in ("rational", "trigonometric", "exponential") for shape in KINDS[kind](sizes)}
    assert {shape.text for shape in KINDS["auto"](sizes)} == texts
    assert {shape.text for shape in KINDS["hill"](sizes)} < {shape.text for shape in KINDS["rational"](sizes)}
    assert all(shape.rarity > 0 for shape in KINDS["auto"](sizes))
    assert not any(shape.rarity for shape in KINDS["rational"](sizes))


def decay(rate=0.5, end=6, noise=0.01):
    t = np.linspace(0, end, 60)
    rng = np.random.default_rng(3)
    x = [np.full(1, 3.0), np.full(1, 1.0)]
    out = []
    for start in x:
        states = [start[0]]
        for h in np.diff(t):
            s = states[-1]
            for _ in range(20):
                s -= h / 20 * s / (rate + s)
            states.append(s)
        out.append(np.array(states)[:, None] + noise * rng.standard_normal((60, 1)))
    return [t, t], out


@pytest.mark.parametrize("ends", [None, (0.01, 10.0)])
def test_a_term_of_ones_own_may_have_unknowns(ends):
    t, y = decay()
    library = Polynomial(1, ["s/(Km + s)"], unknowns={"Km": ends})
    model = discover(t, y, library, names=["s"])
    ((term, name, value, low, high),) = model.unknowns()
    assert (name, term) == ("Km", f"s/({value:.4g} + s)")
    assert low < 0.5 < high
    assert high - low < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"functions": ["s/(K + s)"], "unknowns": {"L": None}}, "the unknown 'L' stands in no term"),
        ({"functions": ["s/(s0 + s)"], "unknowns": {"s0": (2.0, 1.0)}}, "'s0' from 2 to 1: give the lower one first"),
        ({"functions": ["s/(1 + s)"], "unknowns": {"s": None}}, "'s' is a variable"),
        ({"functions": ["s/(K + s)"]}, "K"),
        ({"forms": ["rationl"]}, "no kind of terms 'rationl'; did you mean 'rational'"),
    ],
)
def test_unknowns_that_make_no_sense_are_refused(arguments, message):
    t, y = decay()
    with pytest.raises(InputError, match=message):
        discover(t, y, Polynomial(1, **arguments), names=["s"])


@pytest.mark.parametrize("given", ["K=", "K=1", "K=1:x", "K=1:2:3"])
def test_unknowns_on_the_command_line_are_a_name_or_a_name_and_two_values(given, tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("t,s\n" + "".join(f"{i},{2 / (1 + i)}\n" for i in range(20)))
    done = CliRunner().invoke(cli, ["discover", str(table), "--term", "s/(K + s)", "--unknown", given])
    assert isinstance(done.exception, InputError)
    assert f"--unknown {given}: give a name" in str(done.exception)
