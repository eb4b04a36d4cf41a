"""The gallery: runs its campaigns, and writes what they found into their pages.

    make gallery                  # all, one after the other; goes on where it was stopped
    make gallery ONLY="turing fit"

A page of docs/gallery holds two parts that are made here: the configuration, as its file has it, and what the
campaign said at its end, with the time that it took. Pictures are those of its report, made smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from pieces import PIECES, ROOT
from PIL import Image

from mechscreen.progress import format_duration

PAGES = ROOT / "docs/gallery"
IMAGES = ROOT / "docs/images"
TIMES = Path("results/gallery")
"""What each campaign took so far, since runs may be stopped."""
WIDEST = 1200
"""Pixels of a picture."""
COLOURS = 64


def run(name: str) -> None:
    """Run a campaign, and write down what that took, with what an interrupted run before took.

    Of one that was finished and is remade in parts, it is the time of these parts.
    """
    piece, record = PIECES[name], TIMES / f"{name}.json"
    if piece.before:
        subprocess.run(shlex.split(piece.before), check=True)
    summary = piece.results / "summary.txt"
    finished = summary.stat().st_mtime if summary.exists() else None
    known = json.loads(record.read_text()) if record.exists() and piece.results.exists() and finished is None else {}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [Path(sys.executable).parent / "snakemake", "--workflow-profile", "cluster_profiles/local"]
    done = subprocess.run([*command, "--configfile", piece.config])
    if finished is None or summary.stat().st_mtime != finished:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        times = {"seconds": time.monotonic() - begun, "processor": spent}
        conditions = {"machine": machine(), "date": date.today().isoformat()}
        TIMES.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({key: known.get(key, 0) + value for key, value in times.items()} | conditions))
    done.check_returncode()


def machine() -> str:
    """Return what this runs on, in words."""
    cpus = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpus.read_text()) if cpus.exists() else None
    return f"{os.cpu_count()} cores, {found[1] if found else platform.processor()}"


def found(name: str) -> str:
    """Return what a campaign said when it ended, and what it took, in Markdown."""
    piece = PIECES[name]
    took = json.loads((TIMES / f"{name}.json").read_text())
    return (
        f"\n{table((piece.results / 'summary.txt').read_text(encoding='utf-8'))}\n"
        f"It took {format_duration(took['seconds'])}, and {format_duration(took['processor'])} of processor time "
        f"({took['machine']}, {took['date']}).\n\n"
        f"{wrapped(piece.beside(piece.results))}\n"
    )


def table(summary: str) -> str:
    """Return the lines that a campaign ends with as a table, without the place of its report."""
    title, *lines = summary.splitlines()
    rows = [f"| {line[2:14].strip()} | {line[15:]} |" for line in lines if not line.startswith("  report ")]
    return "\n".join([f"**{title}**", "", "| | |", "|---|---|", *rows, ""])


def wrapped(text: str) -> str:
    """Return paragraphs in lines that are not too long; tables as they are."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(part if part.startswith("|") else textwrap.fill(part, 118) for part in paragraphs)


def configuration(name: str) -> str:
    """Return a campaign's configuration in Markdown."""
    return f"```yaml\n{(ROOT / PIECES[name].config).read_text(encoding='utf-8')}```\n"


PARTS: Mapping[str, Callable[[str], str]] = {"found": found, "configuration": configuration}


def part(text: str, what: str) -> str:
    """Return what a page has in the place of a part."""
    return text.partition(f"<!-- made by docs/gallery.py: {what} -->\n")[2].partition("<!-- end -->")[0]


def write(name: str) -> None:
    """Write the made parts of a page, and its pictures."""
    page, piece = PAGES / f"{name}.md", PIECES[name]
    text = page.read_text(encoding="utf-8")
    for what, made in PARTS.items():
        begins = f"<!-- made by docs/gallery.py: {what} -->\n"
        text = text.replace(begins + part(text, what) + "<!-- end -->", begins + made(name) + "<!-- end -->")
    page.write_text(text, encoding="utf-8")
    for picture in piece.pictures:
        smaller(piece.results / f"figures/{picture}.png", IMAGES / f"gallery-{name}-{picture}.png")
    for picture, draw in piece.drawn.items():
        target = IMAGES / f"gallery-{name}-{picture}.png"
        draw(piece.results).savefig(target, dpi=160)
        smaller(target, target)


def smaller(source: Path, target: Path) -> None:
    """Write a picture with fewer pixels and colours."""
    with Image.open(source) as read:
        image = Image.alpha_composite(Image.new("RGBA", read.size, "white"), read.convert("RGBA")).convert("RGB")
    image.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    """Run campaigns and write their pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PIECES)}; all without any")
    names = parser.parse_args().names or list(PIECES)
    if unknown := set(names) - set(PIECES):
        parser.error(f"there is no {', '.join(sorted(unknown))} in the gallery")
    os.chdir(ROOT)
    for name in names:
        run(name)
        write(name)


if __name__ == "__main__":
    main()
