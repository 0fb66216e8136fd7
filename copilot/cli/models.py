"""``pangting models``: the model files, pinned by sha256."""

from __future__ import annotations

import os
import sys
from pathlib import Path
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
def pin(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A known model (whisper-small, -medium, -large-v3, -large-v3-turbo), or any name with --from.")
    ],
    directory: Annotated[
        Path | None, typer.Option("--from", exists=True, file_okay=False, help="Take the files of this directory instead of the hub's.")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Licence to write down for a model of your own.")] = "",
) -> None:
    """Take a model that has no known sha256 once, and hold it to the bytes that came; the pins are a manifest for other machines."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from copilot.assembly import model_hub
    from copilot.modelhub.hub import PullProgress

    hub = model_hub(settings_of(context))
    columns = (TextColumn("  {task.description:<24}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(name, total=None)

        def show(step: PullProgress) -> None:
            bar.update(task, description=step.file or name, completed=step.done, total=step.total)

        pins = hub.pin(name, directory, licence=licence, progress=show)
    typer.echo(f"{name}: {hub.path(name)}")
    typer.echo(f"pinned in {pins}")


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
def check(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Recognition model: a name or a directory; default: asr.model.")] = None,
    audio: Annotated[Path | None, typer.Option("--audio", exists=True, dir_okay=False, help="An audio file; default: a clip.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda; default: asr.device.")] = None,
    compute_type: Annotated[str | None, typer.Option("--compute-type", help="Default: asr.compute_type.")] = None,
    decoders: Annotated[int | None, typer.Option("--decoders", min=1, help="Default: asr.decoders.")] = None,
) -> None:
    """Load a recognition model as the server does, time it, and estimate how many live channels this machine carries with it."""
    from copilot.assembly.model_check import CLIP_TEXT, check_model

    settings = settings_of(context)
    changes = {"model": model, "device": device, "compute_type": compute_type, "decoders": decoders}
    asr = type(settings.asr)(**(settings.asr.model_dump() | {key: value for key, value in changes.items() if value is not None}))
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    found = check_model(settings.model_copy(update={"asr": asr}), audio)
    on = f"{found.devices} × {found.device}" if found.devices > 1 else found.device
    typer.echo(f"{found.model}: {found.engine} on {on}, {found.compute_type}, {found.decoders} decoders, batches of {found.max_batch}")
    typer.echo(f"loaded and warm in {found.load_ms / 1000:.1f} s")
    typer.echo(f"heard    {found.text}")
    if audio is None:
        typer.echo(f"said     {CLIP_TEXT}")
    typer.echo("window   audio  padded  alone: encode + decode        RTF   all decoders busy")
    for row in (found.partial, found.final):
        parts = "" if row.encode_ms is None else f"{row.encode_ms:.0f} + {max(0.0, row.alone_ms - row.encode_ms):.0f} ms"
        typer.echo(
            f"{row.lane:<8} {row.audio_ms / 1000:3.1f} s  {row.window_ms / 1000:4.1f} s  {row.alone_ms:6.0f} ms  {parts:<18} "
            f"{row.rtf:5.3f}   {row.full_ms:.0f} decoder-ms a window"
        )
    if busy > 0.5 * cores:
        typer.echo(f"the machine had other work (load {busy:.1f} on {cores} cores): the times are too long and the estimate too low")
    typer.echo(f"estimate: {found.usual:.0f} live channels with a partial every 0.8 s, {found.most:.0f} at the slowest cadence (2.5 s),")
    typer.echo("          each speaking 45% of the time; admission at run time goes by the measured load")


@app.command()
def path(context: typer.Context, name: Name) -> None:
    """The directory with a model's files."""
    from copilot.assembly import model_hub

    typer.echo(model_hub(settings_of(context)).path(name))
