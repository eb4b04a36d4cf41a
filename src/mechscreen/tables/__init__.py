"""Tables that people bring: one reader for all verbs, which recognises how a table is written, and says it.

`read_table` returns a `Table`: labels, columns of text, the line of each row, and how it was read. `read_parameters`
and `read_time_series` make numbers of it. Where two readings are possible, the table is refused in one line that names
both.
"""

from mechscreen.tables.parameters import known_by, known_names, read_parameters, tell
from mechscreen.tables.reader import read_table
from mechscreen.tables.series import TimeSeries, read_time_series
from mechscreen.tables.table import Table

__all__ = [
    "Table",
    "TimeSeries",
    "known_by",
    "known_names",
    "read_parameters",
    "read_table",
    "read_time_series",
    "tell",
]
