"""Measure a part of a discovery study, gather its tables, or draw a figure: what the jobs of its workflow call.

    python benchmarks/discover.py benchmarks/discovery_study/study.yaml --part paper/cycle/collocation/seeds-00000
    python benchmarks/discover.py benchmarks/discovery_study/study.yaml --gather
    python benchmarks/discover.py benchmarks/discovery_study/quick.yaml --table truths --seeds 20

The last measures what is not there of one table, and prints it; with ``--results FOLDER`` for each, two commits are
told apart (``PYTHONPATH`` says which one is measured).

``make bench-discover`` makes all of it (docs/measured/discovery.md).
"""

import argparse
import os
import sys
from pathlib import Path

# Seconds are those of one core; read where NumPy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from discovery_study.measure import run
from mechscreen.emulators.quiet import be_quiet
from mechscreen.errors import MechscreenError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--part", help="measure this part of it; actin/<salt> for actin's curves")
    what.add_argument("--table", help="measure what is not there of this table, gather it and print it")
    what.add_argument("--gather", action="store_true", help="gather its tables")
    what.add_argument("--figure", help="draw this figure")
    changes = parser.add_argument_group("with --table, instead of what the study says")
    changes.add_argument("--seeds", type=int, help="data sets")
    changes.add_argument("--library", help="library of our method: 'degree 3', or a name that it knows")
    changes.add_argument("--results", help="folder of the folders of results")
    given = parser.parse_args()
    told = {"seeds": given.seeds, "library": given.library, "results": given.results}
    if given.table is None and any(value is not None for value in told.values()):
        parser.error("--seeds, --library and --results go with --table")
    be_quiet()
    try:
        run(given.study, part=given.part, figure=given.figure, table=given.table, **told)
    except MechscreenError as error:
        print(f"discover.py: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
