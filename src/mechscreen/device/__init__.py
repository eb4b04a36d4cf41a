"""A screen as one program that JAX compiles, for a card on which all of it stays: parameters, networks, labels, counts.

What is counted is what NumPy would count: parameter sets are drawn by the same integers, labels are those of the same
profiles. What JAX cannot compute, a prior's quantiles or a function that takes NumPy's arrays alone, NumPy is asked for
from within the program (`mechscreen.device.draws`, `mechscreen.device.labels`), and the user is told.
"""
