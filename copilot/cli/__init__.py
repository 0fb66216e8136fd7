"""``pangting``: the command line. Commands import what they need, so ``--help`` is instant."""

from __future__ import annotations


def main() -> None:
    """Entry point."""
    from copilot.cli.main import run

    run()
