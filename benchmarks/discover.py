"""Measure a part of a discovery study, gather its tables, or draw a figure: what the jobs of its workflow call.

    python benchmarks/discover.py benchmarks/discovery_study/study.yaml --part paper/cycle/collocation/seeds-00000
    python benchmarks/discover.py benchmarks/discovery_study/study.yaml --gather

``make bench-discover`` makes all of it (docs/discovery.md).
"""

import argparse
import sys
from pathlib import Path

from discovery_study.measure import run
from mechscreen.emulators.quiet import be_quiet
from mechscreen.errors import MechscreenError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--part", help="measure this part of it; actin/<salt> for actin's curves")
    what.add_argument("--gather", action="store_true", help="gather its tables")
    what.add_argument("--figure", help="draw this figure")
    given = parser.parse_args()
    be_quiet()
    try:
        run(given.study, part=given.part, figure=given.figure)
    except MechscreenError as error:
        print(f"discover.py: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
