"""``pangting models``: the model files, pinned by sha256."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from copilot.cli.output import Json, megabytes, print_json, settings_of

app = typer.Typer(help="Model files: list, pull, verify, path.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Model name, as `pangting models list` shows it.")]
OptionalName = Annotated[str | None, typer.Argument(help="Model name; or use --all.")]
All = Annotated[bool, typer.Option("--all", help="Every model the default set-up needs.")]


@app.command("list")
def list_models(context: typer.Context, json_: Json = False) -> None:
    """The models, their size, licence and state."""
    from copilot.assembly import model_hub

    rows = model_hub(settings_of(context)).list()
    if json_:
        fields = ("name", "role", "licence", "origin", "bytes", "state")
        print_json([{**{field: getattr(row, field) for field in fields}, "path": str(row.path) if row.path else None} for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.name:<16} {row.role:<11} {megabytes(row.bytes):>9}  {row.licence:<11} {row.state:<10} {row.path or ''}")


def _names(context: typer.Context, name: str | None, everything: bool) -> list[str]:
    from copilot.assembly import default_models

    if everything:
        return list(default_models(settings_of(context)))
    if name is None:
        raise typer.BadParameter("Give a model name or --all.")
    return [name]


@app.command()
def pull(context: typer.Context, name: OptionalName = None, everything: All = False) -> None:
    """Fetch a model from the configured sources; a broken download is resumed, a wrong byte is refused."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from copilot.assembly import model_hub
    from copilot.modelhub.hub import PullProgress

    hub = model_hub(settings_of(context))
    wanted = _names(context, name, everything)
    for model in wanted:
        hub.model(model)  # an unknown name is said before anything is drawn
    columns = (TextColumn("  {task.description:<16}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    for model in wanted:
        with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
            task = bar.add_task(model, total=None)

            def show(step: PullProgress, task: object = task, bar: Progress = bar) -> None:
                if step.note:
                    bar.console.print(f"  {step.note}", highlight=False)
                bar.update(task, completed=step.done, total=step.total)  # type: ignore[arg-type]

            path = hub.pull(model, show)
        typer.echo(f"{model}: {path}")


@app.command()
def verify(
    context: typer.Context,
    name: OptionalName = None,
    everything: All = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only check that the files are there and unchanged since they were verified.")
    ] = False,
) -> None:
    """Read a model's files again and compare their sha256."""
    from copilot.assembly import model_hub

    hub = model_hub(settings_of(context))
    failed = False
    for model in _names(context, name, everything):
        if quick:
            hub.path(model)
            continue
        for check in hub.verify(model):
            failed = failed or bool(check.problem)
            typer.echo(f"{model}: {check.path.name}: {check.problem or 'ok'}")
    if failed:
        sys.exit(1)


@app.command()
def path(context: typer.Context, name: Name) -> None:
    """The directory with a model's files."""
    from copilot.assembly import model_hub

    typer.echo(model_hub(settings_of(context)).path(name))
