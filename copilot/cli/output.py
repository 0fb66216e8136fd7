"""What commands share: settings from the global options, JSON output, progress."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from copilot.settings import CONFIG_ENV, Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def settings_of(context: typer.Context) -> Settings:
    """The settings of this run."""
    options = context.find_root().obj or {}
    overrides: dict[str, Any] = {}
    if options.get("data_dir") is not None:
        overrides["data_dir"] = options["data_dir"]
    if options.get("config") is not None:
        # A worker that this process starts must read the same file.
        os.environ[CONFIG_ENV] = str(options["config"].resolve())
    return load(options.get("config"), **overrides)


def print_json(value: Any) -> None:
    """One JSON document on stdout, Chinese readable."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_line(value: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
