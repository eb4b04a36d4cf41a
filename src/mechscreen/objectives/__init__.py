"""What is looked for in a model's outputs: arrays in, class labels out.

An objective returns one integer label per sample, an index into its `class_names`. It is called in one of two ways, as
the number of its arguments says. With one: ``objective(outputs)``, a mapping from the name of each output to what the
model says of it, (n, *shape), in its unit. With two, for models whose outputs are profiles of equally many points:
``objective(profiles, log_peaks)``, profiles (n, outputs, points), each scaled as its output says (divided by its own
maximum, mostly), and log_peaks (n, outputs), the logarithms of these maxima. An ensemble's profiles have a maximum near
1; a mean of members that disagree about the place of a peak has a lower one.
"""

from mechscreen.objectives.base import Objective
from mechscreen.objectives.conditions import Conditions
from mechscreen.objectives.emulated import FeaturesOf
from mechscreen.objectives.features import Features
from mechscreen.objectives.function import UserObjective
from mechscreen.objectives.labelling import Labelling, get_objective
from mechscreen.objectives.match import Match
from mechscreen.objectives.maximise import Maximise
from mechscreen.objectives.modes import Modes, count_modes
from mechscreen.objectives.rings import Rings, mirrored_peaks

__all__ = [
    "Conditions",
    "Features",
    "FeaturesOf",
    "Labelling",
    "Match",
    "Maximise",
    "Modes",
    "Objective",
    "Rings",
    "UserObjective",
    "count_modes",
    "get_objective",
    "mirrored_peaks",
]
