"""The command tree, and how errors reach a person: one sentence on stderr and exit status 1 (2 for wrong usage)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from copilot import __version__
from copilot.cli import analytics, calls, intents, kb, models, operate, packs, people, play, postcall, privacy, rules, transcribe
from copilot.domain.errors import CopilotError

app = typer.Typer(
    name="pangting",
    help="Pangting (旁听): a contact-center copilot for banks. Settings come from pangting.toml and PANGTING_… variables.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"pangting {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (default: pangting.toml, if it exists).")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where everything is kept (default: ./var).")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    _ = version
    context.obj = {"config": config, "data_dir": data_dir}


app.command("serve")(operate.serve)
app.command("status")(operate.status)
app.command("schemas")(operate.schemas)
app.command("reference", hidden=True)(operate.reference)
app.command("transcribe")(transcribe.transcribe)
app.command("play")(play.play)
app.add_typer(models.app, name="models")
app.add_typer(kb.app, name="kb")
app.add_typer(intents.app, name="intents")
app.add_typer(privacy.app, name="privacy")
app.add_typer(packs.app, name="packs")
app.add_typer(rules.app, name="rules")
app.add_typer(postcall.app, name="postcall")
app.add_typer(people.app, name="users")
app.add_typer(analytics.app, name="analytics")
app.add_typer(calls.app, name="calls")
app.add_typer(calls.retention, name="retention")


def _check_home() -> None:
    """``copilot`` and ``streaming`` are names that other distributions use too: refuse to run on somebody else's modules."""
    import kb as kb_package
    import postcall as postcall_package
    import streaming as streaming_package

    home = Path(__file__).resolve().parents[2]
    for module in (kb_package, postcall_package, streaming_package):
        where = Path(module.__file__ or "").resolve()
        if not where.is_relative_to(home):
            typer.echo(
                f"Module {module.__name__!r} comes from {where.parent}, not from this installation ({home}): install Pangting into an "
                "environment of its own (uv tool install, a container, or a fresh venv).",
                err=True,
            )
            sys.exit(1)


def run() -> None:
    """Runs the command line of this process."""
    _check_home()
    try:
        app()
    except CopilotError as error:
        typer.echo(f"pangting: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        typer.echo(f"pangting: {error.strerror or type(error).__name__}:{where}; check the path and its permissions.", err=True)
        sys.exit(1)
