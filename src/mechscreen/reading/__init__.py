"""Results as people read them and take them away: labelled arrays, tables, files of other programs.

Nothing here writes into a folder of results, or waits for who does.
"""

from mechscreen.reading.folder import Results, open_results

__all__ = ["Results", "open_results"]
