"""Time series of different lengths as outputs, one of them with a sign: a dose, its concentration and its effect.

Sources: Rowland & Tozer, Clinical Pharmacokinetics and Pharmacodynamics (2011), chapters 6 and 8; Dayneka, Garg & Jusko
1993, J. Pharmacokinet. Biopharm. 21:457–478 (indirect response).
"""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Dose(Model):
    r"""A dose is absorbed and eliminated; while it is there it slows the heart, which then overshoots.

    .. math::

        c(t) = \frac{D k_a}{V (k_a - k_e)} \left(e^{-k_e t} - e^{-k_a t}\right), \qquad
        \dot R = -k_R R - E \frac{c}{c + c_{50}} + k_M M, \qquad \dot M = -k_M R - k_D M

    R is the change of the heart's rate from normal, M the body's answer to it; k_R is 0.5/h, k_D 0.1/h, c_50 0.5 mg/l.
    """

    name = "dose"
    version = "1"
    isolated = False
    seconds = 2e-4
    space = ParameterSpace(
        [
            Parameter("dose", 10.0, 200.0, unit="mg", symbol="$D$", meaning="dose"),
            Parameter("absorption", 0.5, 3.0, unit="1/h", symbol="$k_a$", meaning="absorption"),
            Parameter("elimination", 0.05, 0.4, unit="1/h", symbol="$k_e$", meaning="elimination"),
            Parameter("effect", 5.0, 40.0, unit="1/min/h", symbol="$E$", meaning="largest effect"),
            Parameter("answer", 0.02, 0.3, unit="1/h", symbol="$k_M$", meaning="the body's answer"),
        ]
    )
    outputs = (
        Output("concentration", np.linspace(0.0, 24.0, 121), unit="mg/l", grid_name="time", grid_unit="h"),
        Output("heart rate", np.linspace(0.0, 48.0, 49), unit="1/min", grid_name="time", grid_unit="h", scale="linear"),
    )

    def solve(self, parameters, seeds):
        """Evaluate c(t), and integrate R(t) by the midpoint rule in steps of 0.05 h; `seeds` goes unused."""
        dose, ka, ke, effect, answer = parameters.T

        def concentration(t):
            return dose * ka / (40 * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))

        def change(t, state):
            rate, memory = state
            c = concentration(t)
            return np.stack([-0.5 * rate - effect * c / (c + 0.5) + answer * memory, -answer * rate - 0.1 * memory])

        step, state = 0.05, np.zeros((2, len(dose)))
        rates = [state[0]]
        for i in range(960):
            half = state + step / 2 * change(i * step, state)
            state = state + step * change((i + 0.5) * step, half)
            if (i + 1) % 20 == 0:
                rates.append(state[0])
        levels = np.stack([concentration(t) for t in self.outputs[0].grid], axis=1)
        return Solution({"concentration": levels, "heart rate": np.stack(rates, axis=1)})


def overshoots(outputs):
    """Label a dose by whether the heart becomes faster than normal, by 2 a minute or more: 1, else 0."""
    return (outputs["heart rate"].max(axis=1) >= 2).astype(int)
