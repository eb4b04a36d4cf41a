"""``python -m mechscreen``."""

from mechscreen.cli import main

main()
