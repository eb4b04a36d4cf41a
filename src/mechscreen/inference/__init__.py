"""From measurements to parameters: the best ones, and how well they are known. Arrays in, arrays out."""

from mechscreen.inference.credible import Credible, credible
from mechscreen.inference.least_squares import Fit, improve
from mechscreen.inference.walkers import Walkers, counted, independent, walkers_of

__all__ = ["Credible", "Fit", "Walkers", "counted", "credible", "improve", "independent", "walkers_of"]
