"""Reference pages made from the code: settings, command line, metrics, OpenAPI. A test keeps docs/reference equal to what this writes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from copilot.settings import IntegrationSettings, Settings

_MADE = "<!-- Made from the code by `pangting reference`; change the code, not this page. -->"


def _cell(text: str) -> str:
    """Text of a Markdown table cell: a bare <word> would be taken for HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


# Settings


def _toml(value: Any) -> str:
    """A default as it would stand in the settings file."""
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _setting_default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    return "" if value in ("", None, {}) else f"`{_toml(value)}`"


_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def _limits(info: FieldInfo) -> str:
    """What a setting may be, where its type says more than text or number."""
    bounds = [f"{sign} {getattr(item, name)}" for item in info.metadata for name, sign in _BOUNDS.items() if hasattr(item, name)]
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    said = [f"One of {', '.join(f'`{choice}`' for choice in choices)}."] if choices else []
    return " ".join(["", *said, *([f"({_cell(', '.join(bounds))})"] if bounds else [])])


def _rows(model: type[BaseModel], prefix: str, environment: bool = True) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            continue
        variable = f" `PANGTING_{(prefix + name).upper().replace('.', '__')}` |" if environment else ""
        yield f"| `{name}` | {_setting_default(info)} |{variable} {_cell(info.description or '')}{_limits(info)} |"


def settings_page() -> str:
    """docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        _MADE,
        "",
        "Read from `pangting.toml` (or the file that `--config` or `PANGTING_CONFIG` names) and overridden by environment variables.",
        "An unknown or wrong setting stops the program with a sentence that names it. The URLs are the topology: each picks an engine.",
        "",
        "```toml",
        "# pangting.toml",
        'data_dir = "/var/lib/pangting"',
        "",
        "[asr]",
        'device = "cuda"',
        "```",
        "",
    ]
    head = ["| setting | default | environment | meaning |", "|---|---|---|---|"]
    lines += ["## At the top of the file", "", *head, *_rows(Settings, ""), ""]
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            lines += [f"## `[{name}]`", "", *head, *_rows(info.annotation, f"{name}."), ""]
    lines += [
        "## Each `[[telephony.integrations]]`",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
        *_rows(IntegrationSettings, "", environment=False),
        "",
        'As an environment variable the list is JSON: `PANGTING_TELEPHONY__INTEGRATIONS=\'[{"name": "pbx", …}]\'`.',
        'A key is stored as its digest: `sha256:` and the output of `printf %s "$KEY" | sha256sum`.',
        "",
    ]
    return "\n".join(lines)


# Command line


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name in sorted(command.commands):
            if not command.commands[name].hidden:
                yield from _commands(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    name = f"{name}…" if parameter.nargs == -1 else name
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    return parameter.opts[0] if parameter.is_flag else f"{parameter.opts[0]} …"


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.param_type_name == "argument" or parameter.is_flag or parameter.default in ("", None):
        return ""
    return f"`{parameter.default}`"


def cli_page() -> str:
    """docs/reference/cli.md. Commands that only make these pages are hidden and left out."""
    from copilot.cli.main import app

    root: Any = typer.main.get_command(app)
    shared = [parameter for parameter in root.params if "completion" not in parameter.name]
    lines = ["# Command line", "", _MADE, ""]
    lines += ["Every error is one sentence on standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."]
    lines += ["What `--json` prints is described in [interfaces.md](interfaces.md). `--help` works everywhere.", ""]
    lines += ["Before the command:", "", "| option | meaning |", "|---|---|"]
    lines += [f"| `{_option(parameter)}` | {_cell(parameter.help or '')} |" for parameter in shared]
    lines += ["| `--install-completion` | Install completion for the current shell. |", ""]
    for path, command in _commands(root, "pangting"):
        arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        needed = [_option(parameter) for parameter in options if parameter.required]
        rest = ["[OPTIONS]"] if len(options) > len(needed) else []
        usage = " ".join([path, *needed, *rest, *map(_argument, arguments)])
        lines += [f"## `{path}`", "", "```sh", usage, "```", "", _cell(" ".join((command.help or "").split())), ""]
        if command.params:
            lines += ["| | default | meaning |", "|---|---|---|"]
            for parameter in (*arguments, *options):
                shown = _argument(parameter).strip("[]") if parameter in arguments else _option(parameter)
                lines.append(f"| `{shown}` | {_option_default(parameter)} | {_cell(parameter.help or '')} |")
            lines.append("")
    return "\n".join(lines)


# Metrics


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    from copilot.telemetry.metrics import CATALOGUE

    lines = ["# Metrics", "", _MADE, "", "Prometheus text at `/metrics`. No metric carries call ids, names or text.", ""]
    lines += ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for item in CATALOGUE:
        lines.append(f"| `{item.name}` | {item.kind} | {', '.join(f'`{label}`' for label in item.labels)} | {_cell(item.help)} |")
    return "\n".join([*lines, ""])


# API


class _Unused:
    """Stands for everything the routes would use when they run: here they are only listed."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name}: the routes are listed, not run")


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the HTTP API, as a server of this version answers it at /api/v1/openapi.json."""
    from copilot import __version__
    from copilot.api.app import create_app
    from copilot.api.context import ApiContext

    plain = {"web_dir": Path(), "version": __version__}
    required = [field.name for field in dataclasses.fields(ApiContext) if field.default is dataclasses.MISSING]
    context = ApiContext(**{**{name: _Unused() for name in required}, **plain})  # type: ignore[arg-type]
    return create_app(context).openapi()


def pages() -> dict[str, str]:
    """File name → text."""
    document = json.dumps(openapi(), ensure_ascii=False, indent=2) + "\n"
    return {"settings.md": settings_page(), "cli.md": cli_page(), "metrics.md": metrics_page(), "openapi.json": document}


def write(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")
        written.append(directory / name)
    return written
