"""The blocks of code, the commands and the names of files that the documentation holds."""

import re
from dataclasses import dataclass
from functools import cache

from campaigns import ROOT

DOCS = ROOT / "docs"
PROGRAMS = ("mechscreen", "snakemake", "make", "python", "pip", "cd", "rsync", "PYTHONPATH=")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^    (?P<text>\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page: what stands in a fence, by its language, or a line of its own, ``command`` or ``lines``."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


@cache
def blocks():
    """Return all blocks, page by page, in order."""
    return [block for path in sorted(DOCS.rglob("*.md")) for block in _of(path)]


def _of(path):
    page, text = str(path.relative_to(DOCS)), path.read_text(encoding="utf-8")
    found = [(match.start(), match["language"] or "lines", match["text"]) for match in FENCE.finditer(text)]
    # What a fence holds keeps its place, so that lines keep their numbers.
    blanked = FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    # Lines of a list are indented, too; code stands after an empty line, or after code.
    before = ""
    for match in re.finditer(r"^.*$", blanked, re.MULTILINE):
        line = match[0]
        code = COMMAND.fullmatch(line)
        if code and (not before.strip() or before.startswith("    ")) and not _in_list(blanked[: match.start()]):
            command = code["text"].startswith(PROGRAMS)
            found.append((match.start(), "command" if command else "lines", re.sub(r"\s{2,}# .*", "", code["text"])))
        before = line
    return [Block(page, text[:at].count("\n") + 1, language, body) for at, language, body in sorted(found)]


def _in_list(before):
    """Return whether an indented line continues an item of a list or a definition."""
    for line in reversed(before.split("\n")):
        if line and not line.startswith(" "):
            return bool(re.match(r"[-*] |\d+\. |:   ", line))
        if re.match(r" +([-*] |\d+\. )|:   ", line):
            return True
    return False


def inline():
    """Return what stands between backquotes in the text of the pages: page and text of each."""
    found = []
    for path in sorted(DOCS.rglob("*.md")):
        text = FENCE.sub("", path.read_text(encoding="utf-8"))
        found += [(str(path.relative_to(DOCS)), " ".join(code.split())) for code in re.findall(r"`([^`]+)`", text)]
    return found
