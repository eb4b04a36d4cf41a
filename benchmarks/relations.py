"""How two parameters go together in the target of a finished screen, whatever the other parameters are.

    python benchmarks/relations.py config/active.yaml KT alpha_c

Prints the lines of either parameter over the other, and over its inverse, as the report of a screen of two parameters
has them.
"""

from __future__ import annotations

import argparse

from mechscreen.campaign import Campaign
from mechscreen.figures.plane import equation, in_values
from mechscreen.reports.results import Results
from mechscreen.tally import plane_pairs


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("parameters", nargs=2)
    arguments = parser.parse_args()
    results = Results(Campaign.load(arguments.config))
    names = [parameter.name for parameter in results.varied]
    for name in arguments.parameters:
        if name not in names:
            parser.error(f"no parameter {name} varies (valid: {', '.join(names)})")
    asked = sorted(names.index(name) for name in arguments.parameters)
    if asked[0] == asked[1]:
        parser.error("give two different parameters")
    plane = plane_pairs(len(names)).tolist().index(asked)
    for x, y, line in results.relations_over(plane):
        (low, high), (least, most) = line.intercept_interval, line.slope_interval
        begin, end = in_values(x, line.x_range)
        print(f"{equation(x, y, line)}; {x.name} from {begin:.4g} to {end:.4g};")
        print(f"    95 % intervals {low:.4g} to {high:.4g} and {least:.4g} to {most:.4g}")


if __name__ == "__main__":
    main()
