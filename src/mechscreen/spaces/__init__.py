"""What is varied: parameters with scales and priors, what follows from them, and sample number → parameter set."""

from mechscreen.spaces.parameter import Parameter
from mechscreen.spaces.priors import Prior
from mechscreen.spaces.sampler import Sampler, allowed_share
from mechscreen.spaces.space import Draws, ParameterSpace, mirrored, within

__all__ = ["Draws", "Parameter", "ParameterSpace", "Prior", "Sampler", "allowed_share", "mirrored", "within"]
