"""Parameters by what follows from them: the best ones, and how well measurements determine them. Arrays alone."""

from mechscreen.inference.credible import Credible, credible
from mechscreen.inference.evolution import Climbed, climb
from mechscreen.inference.front import front
from mechscreen.inference.hopping import redrawn
from mechscreen.inference.least_squares import DAMPING, Fit, improve
from mechscreen.inference.walkers import Walkers, counted, independent, walkers_of

__all__ = [
    "DAMPING",
    "Climbed",
    "Credible",
    "Fit",
    "Walkers",
    "climb",
    "counted",
    "credible",
    "front",
    "improve",
    "independent",
    "redrawn",
    "walkers_of",
]
