"""``pangting intents``: train, eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copilot.cli.inputs import existing
from copilot.cli.output import Json, print_json, settings_of

if TYPE_CHECKING:
    from copilot.assembly.intent_tools import IntentDesk

app = typer.Typer(help="What customers want: the intent classifier.", no_args_is_help=True)


@contextmanager
def _desk_and_progress(context: typer.Context) -> Iterator[tuple[IntentDesk, Callable[[int, int, str], None]]]:
    from rich.console import Console
    from rich.progress import Progress

    from copilot.assembly.intent_tools import open_intent_desk

    console = Console(stderr=True)
    with open_intent_desk(settings_of(context)) as desk, Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("intents", total=None)

        def show(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield desk, show


@app.command()
def train(
    context: typer.Context,
    noise: Annotated[bool, typer.Option(help="Also train on misheard copies of the Chinese sentences.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report only; store nothing.")] = False,
    json_: Json = False,
) -> None:
    """Fit the classifier to the examples in the store and measure it on held-out parts of them; kept per organisation with its figures."""
    with _desk_and_progress(context) as (desk, show):
        result = desk.train(show, noise=noise, keep=not dry_run)
    if json_:
        print_json(result)
        return
    typer.echo(f"model {result['sha256'][:12]}{'' if result['kept'] else ' (not kept)'}")
    _say_report(result["report"])


@app.command()
def eval(  # noqa: A001
    context: typer.Context,
    turns: Annotated[
        list[Path] | None,
        typer.Option("--turns", help="JSONL of labelled turns {dialogue, language, text, asr_text, intent}; several are one set."),
    ] = None,
    split: Annotated[str, typer.Option(help="Only the turns with this split.")] = "",
    json_: Json = False,
) -> None:
    """Show how good the classifier in use is: its cross-validation, and on labelled turns if given; with bootstrap intervals."""
    for path in turns or ():
        existing(path)
    with _desk_and_progress(context) as (desk, show):
        result = desk.evaluate(turns or [], split, show)
    if json_:
        print_json(result)
        return
    if not result["trained"]:
        typer.echo("No trained model is in use: fitted at start, with the weights that ship. Train one: pangting intents train")
    elif result["stale"]:
        typer.echo("The examples have changed since the model was trained: pangting intents train")
    _say_report(result.get("report", {}))
    for name in ("text", "asr_text"):
        if name in result.get("turns", {}):
            figures = result["turns"][name]
            typer.echo(f"{result['turns']['turns']} turns, {name}: {_figures(figures)}")
            for text, wanted, found in figures["wrong"]:
                typer.echo(f"  {wanted} → {found}: {text}")


def _say_report(report: dict[str, Any]) -> None:
    for language, figures in report.items():
        typer.echo(f"{language}: {figures['sentences']} sentences held out in turn: {_figures(figures)}")
        for wanted, found, times in figures["confused"][:5]:
            typer.echo(f"  {wanted} → {found}: {times}")


def _figures(figures: dict[str, Any]) -> str:
    named = (("macro-F1", "macro_f1"), ("out of scope AUC", "out_of_scope_auc"))
    return ", ".join("{} {:.3f} [{:.3f}, {:.3f}]".format(label, *figures[key]) for label, key in named)
