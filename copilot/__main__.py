"""``python -m copilot`` is ``pangting``."""

from copilot.cli import main

main()
