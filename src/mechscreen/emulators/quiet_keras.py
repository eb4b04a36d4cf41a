"""Keras, imported once, and quietly where a program asks for that."""

from __future__ import annotations

from mechscreen.emulators import quiet

with quiet.importing():
    import keras

__all__ = ["PACKAGE", "has_gpu", "keras"]

PACKAGE = "mechscreen"
"""What the layers that are registered with Keras are saved under."""


def has_gpu() -> bool:
    """Return whether Keras sees a GPU."""
    return bool(keras.distribution.list_devices("gpu"))
