"""A drug in two compartments, of which doses are read from a table: what a program in several files looks like.

python examples/programs/infusion.py 5 10 20 8 examples/programs/doses.csv

is told clearance and exchange (l/h), the volumes of blood and tissue (l) and the table of doses, and writes
infusion.json: the concentrations in blood (mg/l) of 97 times, a quarter of an hour apart, and the highest of them.
"""

import csv
import json
import sys
from pathlib import Path

from compartments import concentrations

HOURS = [k / 4 for k in range(97)]

clearance, exchange, blood, tissue = map(float, sys.argv[1:5])
with Path(sys.argv[5]).open(newline="") as table:
    doses = [(float(row["hour"]), float(row["mg"])) for row in csv.DictReader(table)]
found = concentrations(clearance, exchange, blood, tissue, doses, HOURS)
Path("infusion.json").write_text(json.dumps({"blood": {"series": found, "highest": max(found)}}))
