"""``pangting packs``: versions of the files that decide how calls are judged; check, compare, dry-run and publish them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from copilot.cli.inputs import text_of
from copilot.cli.output import Json, print_json, settings_of

app = typer.Typer(help="Rubric, taxonomy, rules, checklists and the other packs: their versions.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="rubric, taxonomy, compliance, sop, review, intents, lexicon or moods.")]
Version = Annotated[int, typer.Option("--version", min=0, help="This version (default: the one in force).")]


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Every version of this pack (default: what is in force, and drafts).")] = "",
    json_: Json = False,
) -> None:
    """What is in force, and open drafts; or every version of one pack."""
    from copilot.assembly.pack_tools import open_packs
    from copilot.codec import to_json

    with open_packs(settings_of(context)) as packs:
        found = packs.versions(name) if name else [*packs.in_force(), *packs.drafts()]
    if json_:
        print_json({"versions": [to_json(version) for version in found]})
        return
    for version in found:
        by = version.published_by or version.author
        typer.echo(
            f"{version.name:<11} {version.version:>4}  {version.state:<10} {version.changed_at:%Y-%m-%d %H:%M}  {by:<12} {version.note}"
        )


@app.command()
def show(context: typer.Context, name: Name, version: Version = 0) -> None:
    """Print the text of a version."""
    from copilot.assembly.pack_tools import open_packs

    with open_packs(settings_of(context)) as packs:
        typer.echo((packs.version(name, version) if version else packs.published(name))[1], nl=False)


@app.command()
def diff(
    context: typer.Context,
    name: Name,
    version: Version = 0,
    against: Annotated[int, typer.Option("--against", min=0, help="This version (default: the one before).")] = 0,
    file: Annotated[Path | None, typer.Option("--file", help="Compare this file with the version instead.")] = None,
) -> None:
    """What changed between two versions, or between a version and a file, as a unified diff."""
    from difflib import unified_diff

    from copilot.assembly.pack_tools import open_packs

    with open_packs(settings_of(context)) as packs:
        known, text = packs.version(name, version) if version else packs.published(name)
        before, labels = "", [f"{name}@0", f"{name}@{known.version}"]
        if file is not None:
            before, text, labels = text, text_of(file), [labels[1], str(file)]
        elif against or known.base_version:
            labels[0] = f"{name}@{against or known.base_version}"
            before = packs.version(name, against or known.base_version)[1]
    for line in unified_diff(before.splitlines(), text.splitlines(), labels[0], labels[1], lineterm=""):
        typer.echo(line)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A file named after its pack, such as rubric.yaml.")],
    pack: Annotated[str, typer.Option("--pack", help="The pack it is (default: the file's name).")] = "",
    json_: Json = False,
) -> None:
    """Check a file: every fault with line, column and the way out. Exit status 1 if there is one."""
    from copilot.assembly.pack_check import pack_faults
    from copilot.codec import to_json

    name = pack or file.stem
    faults = pack_faults(name, text_of(file))
    if json_:
        print_json({"file": str(file), "pack": name, "faults": [to_json(fault) for fault in faults]})
    else:
        for fault in faults:
            typer.echo(f"{file}:{fault.line}:{fault.column}: {fault}")
        if not faults:
            typer.echo(f"{file}: fit for use as {name}.")
    if faults:
        raise typer.Exit(1)


@app.command()
def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file named after its pack, such as rubric.yaml.")],
    pack: Annotated[str, typer.Option("--pack", help="The pack it is (default: the file's name).")] = "",
    note: Annotated[str, typer.Option("--note", help="What changed and why, for the list of versions.")] = "",
    json_: Json = False,
) -> None:
    """Put a file in force, as `kb import` does; drafts that were begun before must take its changes over. Audited."""
    from copilot.assembly.pack_check import check_pack
    from copilot.assembly.pack_tools import open_packs
    from copilot.codec import to_json

    name, text = pack or file.stem, text_of(file)
    check_pack(name, text)
    with open_packs(settings_of(context)) as packs:
        version = packs.put(name, text, note, f"cli:uid-{os.getuid()}")
    if json_:
        print_json(to_json(version))
    else:
        typer.echo(f"{name} version {version.version} is in force.")


@app.command("dry-run")
def dry_run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A draft: rubric.yaml, taxonomy.yaml, compliance.yaml or sop.yaml.")],
    pack: Annotated[str, typer.Option("--pack", help="The pack it is (default: the file's name).")] = "",
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="So many of the newest ended calls.")] = 200,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="Only calls that people have reviewed.")] = False,
    json_: Json = False,
) -> None:
    """Judge past calls with a draft and with the version in force, and say what would change. Stores nothing."""
    from copilot.assembly.pack_check import check_pack
    from copilot.assembly.pack_tools import dry_run_file

    name, text = pack or file.stem, text_of(file)
    check_pack(name, text)
    choice = {"limit": last, **({"state": "reviewed"} if reviewed else {})}
    result = dry_run_file(settings_of(context), name, text, choice, _counted(json_))
    if json_:
        print_json(result)
        return
    typer.echo(f"{result['calls']} calls ({result['skipped']} without words skipped); {result['changed']} would be judged differently.")
    if result["score"] is not None:
        score = result["score"]
        typer.echo(f"mean score {score['before']} → {score['after']}; {score['lower']} lower, {score['higher']} higher")
    for line in result["lines"]:
        if line["changed"]:
            typer.echo(f"  {line['key']:<36} {line['changed']:>4} calls  {_counts(line['before'])} → {_counts(line['after'])}")
    for key, found in ((result["agreement"] or {}).get("questions") or {}).items():
        typer.echo(f"  agreement {key:<26} {_agreement(found['before'])} → {_agreement(found['after'])}")
    for call in result["changed_calls"]:
        changes = ", ".join(f"{change['key']} {change['before']} → {change['after']}" for change in call["changes"])
        typer.echo(f"{call['call_id']}: {changes}")


@app.command("carry-out", hidden=True)
def carry_out(context: typer.Context, org: str, run_id: str) -> None:
    """Carry out a dry run of a running server (which starts this itself)."""
    from copilot.assembly.dry_runs import carry_out_dry_run

    carry_out_dry_run(settings_of(context), org, run_id)


def _counted(quiet: bool) -> Any:
    from rich.console import Console

    console = Console(stderr=True)

    def step(done: int, total: int) -> bool:
        if not quiet and console.is_terminal and done % 10 == 0:
            console.print(f"{done} of {total} calls", end="\r")
        return True

    return step


def _counts(counts: dict[str, int]) -> str:
    return " ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "–"


def _agreement(found: dict[str, Any]) -> str:
    if found["percent"] is None:
        return "–"
    return f"{100 * found['percent']:.0f}%" + (f" κ {found['kappa']:.2f}" if found["kappa"] is not None else "")
