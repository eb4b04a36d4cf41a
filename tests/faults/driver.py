"""Runs the stages of a tiny campaign with a failing file system, in one process, under tests/faults/shim.c.

Reads lines of JSON ``{"stage": "screen", "every": 1}`` and answers each with what was tried and what went wrong.
`every` tries each so-manieth call only, with one of the errors in turn; 1 tries each call with each error.
"""

import ctypes
import errno
import itertools
import json
import shutil
import sys
import traceback
import zipfile
from pathlib import Path

import tensorflow

from mechscreen import resumable, storage
from mechscreen.campaign import Campaign
from mechscreen.errors import EXIT_STORAGE, as_told
from mechscreen.figures import figure_names
from mechscreen.ranks import Interrupted
from mechscreen.stages import evaluate, screen
from mechscreen.stages.merge import merge
from mechscreen.stages.report import draw, report
from mechscreen.stages.select import select
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate

INTERMEDIATE = ("validation/simulations.h5", "validation/misses.h5")
"""What validate makes on its way, and removes in the end."""
KINDS = ("open", "read", "write", "fsync", "rename", "stat", "unlink")
ERRORS = (errno.ESTALE, errno.EIO, errno.ENOSPC, errno.EACCES)
SHIM = ctypes.CDLL(None)

MODEL = """
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

class Bump(Model):
    name = "bump-of-the-faults"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("place", 0.0, 20.0), Parameter("width", 1.0, 6.0)])
    outputs = (Output("signal", np.arange(21.0)),)

    def solve(self, parameters, seeds):
        place, width = parameters.T[:, :, None]
        return Solution(np.exp(-(((self.outputs[0].grid - place) / width) ** 2))[:, None, :])

def side(profiles, log_peaks):
    return (profiles[:, 0].argmax(axis=1) > 10).astype(int)
"""

# Without compiling, which takes longer than all else.
tensorflow.config.run_functions_eagerly(True)
# As small as may be, and saved after every block.
resumable.SAVE_EVERY, resumable.SAVE_SHARE = 0.0, 1e9
screen.BATCH = 50
evaluate.REPEATS, evaluate.POINTS = 2, 8


class AfterAsked:
    """A deadline that is reached after some questions."""

    reason = "the test says so"

    def __init__(self, asked):
        self.left = asked

    def reached(self):
        self.left -= 1
        return self.left < 0

    def overdue(self):
        return False


def make_campaigns(folder):
    """Return a campaign, and one whose simulations the first one's ensemble selects."""
    (folder / "bump.py").write_text(MODEL)
    values = {
        "name": "tiny",
        "results": str(folder / "results"),
        "seed": 7,
        "model": {"name": f"{folder / 'bump.py'}:Bump"},
        "simulations": {"count": 24, "shard_size": 12},
        "dataset": {"shard_size": 12, "split": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        "emulators": {
            "members": 2,
            "combine": "mean",
            "architecture": {"network": "dense", "width": 4, "blocks": 1},
            "training": {"epochs": 2, "batch_size": 8},
        },
        "screen": {
            "count": 300,
            "block_size": 150,
            "objective": {
                "name": f"{folder / 'bump.py'}:side",
                "options": {"classes": ["left", "right"]},
                "target": ["right"],
            },
            "disagreement_limit": 1.0,
            "bins": 4,
        },
        "validation": {"limit": 6, "rmse_limit": 1.0},
    }
    first = Campaign.from_dict(values)
    first.record()
    values |= {"name": "next", "seed": 8, "selection": {"campaign": "tiny", "candidates": 4}}
    return first, Campaign.from_dict(values)


INTERRUPTED_AFTER = {"simulate": 12, "train": 3, "screen": 4, "validate": 2}
"""Questions after which an attempt before is interrupted, so that the one tried finds what is whole and what is
partial."""


class Stages:
    """What is tried of a campaign, in order: each makes its part, the last of several alike being the one tried."""

    def __init__(self, folder):
        self.folder = folder
        self.campaign, self.second = make_campaigns(folder)
        self.root = self.folder / "results"
        first, second = self.campaign, self.second
        self.steps = {
            "simulate": lambda deadline: [simulate(first, k, **deadline) for k in (0, 1)],
            "merge": lambda _: merge(first),
            "train": lambda deadline: [train(first, k, **deadline) for k in (0, 1)],
            "evaluate": lambda _: evaluate.evaluate(first),
            "screen": lambda deadline: [screen.screen_block(first, k, **deadline) for k in (0, 1)],
            "gather": lambda _: screen.gather_screen(first),
            "validate": lambda deadline: validate(first, **deadline),
            "draw": lambda _: draw(first, "training"),
            "report": lambda _: report(first),
            "select": lambda _: select(second, 0),
        }

    def states(self):
        """Yield each stage with the folder as it is before and after it."""
        for name, step in self.steps.items():
            if name in INTERRUPTED_AFTER:
                deadline = AfterAsked(INTERRUPTED_AFTER[name])
                try:
                    step({"deadline": deadline})
                except Interrupted:
                    assert list(self.root.rglob("*.partial")) or list(self.root.rglob("checkpoint.h5")), name
                else:
                    raise AssertionError(f"{name}: not interrupted")
            if name == "report":
                for figure in figure_names(self.campaign):
                    draw(self.campaign, figure)
            before = self.keep(f"before-{name}")
            step({})
            yield name, before, self.keep(f"after-{name}")

    def keep(self, name):
        to = self.folder / "states" / name
        shutil.copytree(self.root, to)
        return to

    def restore(self, state):
        shutil.rmtree(self.root)
        shutil.copytree(state, self.root)


def content(path):
    """Return what a file says that does not depend on when it was made."""
    if path.suffix == ".keras":
        return zipfile.ZipFile(path).read("model.weights.h5")
    if path.name == "member.json":
        record = json.loads(path.read_text())
        return {key: value for key, value in record.items() if key not in ("seconds", "model_sha256")}
    if path.name == "history.csv":
        return [line.rpartition(",")[0] for line in path.read_text().splitlines()]
    return path.read_bytes()


def contents(folder):
    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def is_partial(name):
    return name.endswith((".partial", "checkpoint.h5", "history.csv"))


def wrongs(root, before, after, kind):
    """Return what is not as it should be where an attempt failed: lost, half-written, left over."""
    found = {}
    for path in (path for path in sorted(root.rglob("*")) if path.is_file()):
        name = str(path.relative_to(root))
        if ".tmp" in name:
            if kind != "unlink":
                yield f"{name}: left over"
        elif name.endswith(INTERMEDIATE):
            storage.verify(path, "simulations")
            found[name] = None
        elif is_partial(name):
            found[name] = None
            if path.suffix != ".csv":
                storage.verify(path, "training checkpoint" if path.name == "checkpoint.h5" else kind_of(path))
        else:
            found[name] = content(path)
            if found[name] not in (before.get(name), after.get(name)):
                yield f"{name}: neither as before nor as it should become"
    for name in before.keys() - found.keys():
        whole = name.removesuffix(".partial").replace("checkpoint.h5", "member.json")
        if not (is_partial(name) and whole in found) and not name.endswith(INTERMEDIATE):
            yield f"{name}: lost"


def kind_of(path):
    return "partial screen block" if path.name.startswith("block") else "partial simulations"


def attempt(stages, name):
    """Run a stage; return how it ended: the exit code, and the message."""
    try:
        stages.steps[name]({})
    except BaseException as error:
        told = as_told(error)
        return (1, traceback.format_exc()) if told is None else (told.exit_code, str(told))
    return 0, ""


def inject(stages, name, before, after, every):
    """Let each call of a stage fail in turn; return how many were, how many attempts failed, and what went wrong."""
    old, new = contents(before), contents(after)
    tried, failed, wrong = 0, 0, []
    for kind in KINDS:
        # Of some calls there are few.
        step = every if kind in ("open", "read", "write", "stat") else 1 + every // 20
        for n in itertools.count(1, step):
            for error in ERRORS if every == 1 else [ERRORS[n // step % len(ERRORS)]]:
                stages.restore(before)
                SHIM.shim_arm(str(stages.root).encode(), number_of(kind), error, n, n)
                code, said = attempt(stages, name)
                calls = SHIM.shim_disarm()
                if calls < n:
                    break
                tried += 1
                where = f"{name}, {kind} {n}, {errno.errorcode[error]}"
                if code:
                    failed += 1
                    if code != EXIT_STORAGE:
                        wrong.append(f"{where}: exit code {code}: {said}")
                    wrong += [f"{where}: {problem}" for problem in wrongs(stages.root, old, new, kind)]
                    again, said = attempt(stages, name)
                    if again:
                        wrong.append(f"{where}: again: exit code {again}: {said}")
                        continue
                now = contents(stages.root)
                if now != new:
                    differ = sorted(key for key in now.keys() | new.keys() if now.get(key) != new.get(key))
                    differ = [key for key in differ if not (kind == "unlink" and ".tmp" in key)]
                    wrong += [f"{where}: in the end another {key}" for key in differ]
            else:
                continue
            break
    return {"tried": tried, "failed": failed, "wrong": wrong}


def number_of(kind):
    return KINDS.index(kind) + 1


def main():
    stages = Stages(Path(sys.argv[1]))
    states = {name: state for name, *state in stages.states()}
    print(json.dumps(list(states)), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(inject(stages, asked["stage"], *states[asked["stage"]], asked["every"])), flush=True)


if __name__ == "__main__":
    main()
