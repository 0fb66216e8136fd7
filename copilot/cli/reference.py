"""Reference pages made from the code: settings, command line, metrics. A test keeps docs/reference equal to what this writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from copilot.settings import IntegrationSettings, Settings

_MADE = "<!-- Made from the code by `pangting reference`; change the code, not this page. -->\n"


def _default(value: Any) -> str:
    if value in ("", (), {}, None):
        return ""
    return f"`{value}`"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _rows(annotation, f"{prefix}{name}.")
            continue
        setting = f"{prefix}{name}"
        required = info.is_required()
        value = "required" if required else _default(info.default)
        variable = "" if prefix.startswith("[[") else f"`PANGTING_{setting.upper().replace('.', '__')}`"
        yield f"| `{setting}` | {value} | {variable} | {info.description or ''} |"


def settings_page() -> str:
    """docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        _MADE,
        "Read from `pangting.toml` (or the file that `--config` or `PANGTING_CONFIG` names) and overridden by environment variables.",
        "An unknown or wrong setting stops the program with a sentence that names it. The URLs are the topology: each picks an engine.",
        "",
        "| setting | default | environment | meaning |",
        "|---|---|---|---|",
        *_rows(Settings, ""),
        "",
        "## Each `[[telephony.integrations]]`",
        "",
        "| setting | default | | meaning |",
        "|---|---|---|---|",
        *_rows(IntegrationSettings, "[[telephony.integrations]]."),
        "",
        'As an environment variable the list is JSON: `PANGTING_TELEPHONY__INTEGRATIONS=\'[{"name": "pbx", …}]\'`.',
        'A key is stored as its digest: `printf %s "$KEY" | sha256sum`.',
        "",
    ]
    return "\n".join(lines)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def cli_page() -> str:
    """docs/reference/cli.md."""
    from copilot.cli.main import app

    root: Any = typer.main.get_command(app)
    lines = ["# Command line", "", _MADE, "Errors are one sentence on standard error; exit status 1 for a failure, 2 for wrong usage.", ""]
    lines += ["Before the command: `--config FILE`, `--data-dir DIR`, `--version`.", ""]
    for path, command in _commands(root, "pangting"):
        lines += [f"## `{path}`", "", " ".join((command.help or "").split()), ""]
        rows = []
        for parameter in command.params:
            names = (
                ", ".join(parameter.opts) if parameter.param_type_name == "option" else (parameter.metavar or parameter.name or "").upper()
            )
            text = getattr(parameter, "help", "") or ""
            rows.append(f"| `{names}` | {'required' if parameter.required else ''} | {text} |")
        if rows:
            lines += ["| | | |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    from copilot.telemetry.metrics import CATALOGUE

    lines = ["# Metrics", "", _MADE, "Prometheus text at `/metrics`. No metric carries call ids, names or text.", ""]
    lines += ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for item in CATALOGUE:
        lines.append(f"| `{item.name}` | {item.kind} | {', '.join(item.labels)} | {item.help} |")
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """File name → text."""
    return {"settings.md": settings_page(), "cli.md": cli_page(), "metrics.md": metrics_page()}


def write(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")
        written.append(directory / name)
    return written
