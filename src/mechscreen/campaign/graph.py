"""What depends on what: the stages of a campaign, and what a change of a key does to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Stage = Literal[
    "model",
    "selection",
    "simulations",
    "dataset",
    "emulators",
    "ensemble",
    "learning",
    "evaluation",
    "calibration",
    "screen",
    "hits",
    "validation",
    "polished",
    "posterior",
    "report",
]

STAGES: tuple[Stage, ...] = ("simulations", "dataset", "emulators", "evaluation", "screen", "validation")
"""Nouns of the stages of every campaign that leave files with an identity, in the order their data flows."""

PARENTS: Mapping[Stage, tuple[Stage, ...]] = {
    # What is simulated: no files of its own.
    "model": (),
    "selection": ("model",),
    "simulations": ("selection",),
    "dataset": ("simulations",),
    "emulators": ("dataset",),
    # How trained members are used together: no files of its own.
    "ensemble": ("emulators",),
    "learning": ("emulators",),
    "evaluation": ("ensemble",),
    "calibration": ("ensemble",),
    "screen": ("calibration",),
    # What of the screen's blocks is gathered.
    "hits": ("screen",),
    "validation": ("hits",),
    "polished": ("validation",),
    "posterior": ("polished",),
    "report": ("evaluation", "posterior"),
}

BY_MODEL: Mapping[Stage, tuple[Stage, ...]] = {
    **PARENTS,
    "screen": ("model",),
    "validation": ("hits",),
    "report": ("posterior",),
}
"""The same where the screen simulates each parameter set itself (``screen.by: model``)."""


@cache
def ancestors(stage: Stage, by_model: bool = False) -> frozenset[Stage]:
    """Return the stages that a stage depends on, itself included."""
    parents = (BY_MODEL if by_model else PARENTS)[stage]
    return frozenset({stage}).union(*(ancestors(parent, by_model) for parent in parents))


@dataclass(frozen=True)
class Effect:
    """What a change of a key does.

    Attributes
    ----------
    remakes
        The files of these stages, and of all that depend on them, are made anew.
    grows
        A larger value adds files to this stage, and touches none of those it has.
    note
        For people, after the rest.
    """

    remakes: tuple[Stage, ...] = ()
    grows: Stage | None = None
    note: str = ""

    def counts_for(self, stages: Iterable[Stage]) -> bool:
        """Return whether a change remakes one of some stages."""
        return not set(self.remakes).isdisjoint(stages)

    def __and__(self, other: Effect) -> Effect:
        return Effect(self.remakes + other.remakes, self.grows or other.grows, self.note or other.note)

    def __str__(self) -> str:
        parts = ["grows"] if self.grows else []
        others: list[Stage] = [stage for stage in self.remakes if stage != "selection"]
        if not {"model", "simulations"}.isdisjoint(others) or (self.remakes and not others):
            parts.append("everything")
        elif others:
            parts.append(_listed(others))
            parts += ["with a selection, everything"] if "selection" in self.remakes else []
        return "; ".join([*parts, *([self.note] if self.note else [])]) or "nothing"


def nothing(note: str) -> Effect:
    """Return what a key does that touches no file."""
    return Effect(note=f"nothing: {note}")


def remakes(*stages: Stage) -> Effect:
    """Return what a key does that the files of some stages, and of all after them, depend on."""
    return Effect(remakes=stages)


def grows(stage: Stage) -> Effect:
    """Return what a count does, more of which adds files to a stage."""
    return Effect(grows=stage)


EVERYTHING = remakes("selection", "simulations")


def _listed(stages: list[Stage]) -> str:
    """Return ``evaluation, screen and after``."""
    shown: list[Stage] = []
    for stage in stages:
        shown += ["evaluation", "screen"] if stage == "ensemble" else [stage]
    last = shown[-1]
    followed = any(last in parents for child, parents in PARENTS.items() if child not in ("report", "learning"))
    return ", ".join(shown) + (" and after" if followed else "")
