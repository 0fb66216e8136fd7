"""``pangting kb``: import, search, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from copilot.cli.evaluations import evaluation_lines, gap_lines, reindex_lines, tuning_lines
from copilot.cli.graph import app as graph_app
from copilot.cli.inputs import Language, existing
from copilot.cli.kb_import import carry_out, import_
from copilot.cli.mining import mine
from copilot.cli.output import Json, print_json, settings_of

if TYPE_CHECKING:
    from copilot.assembly.tools import KnowledgeDesk

app = typer.Typer(help="The knowledge base.", no_args_is_help=True)
TopK = Annotated[int, typer.Option("--top-k", min=1, max=50, help="How many articles, 1 to 50.")]


app.command("import")(import_)
app.command("mine")(mine)
app.command("carry-out", hidden=True)(carry_out)
app.add_typer(graph_app, name="graph")


@app.command()
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What a customer might say.")],
    language: Language = "zh",
    top_k: TopK = 5,
    product: Annotated[list[str] | None, typer.Option(help="Only articles for this product, or for all; several: for any of them.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Only articles for this channel, or for all; several: for any of them.")] = None,
    json_: Json = False,
) -> None:
    """Search as the live suggestions do; only what is valid today."""
    from copilot.assembly import open_knowledge

    if not query.strip():
        raise typer.BadParameter("The query is empty; give what a customer might say.")
    with open_knowledge(settings_of(context)) as desk:
        hits = desk.search(query, language, top_k, product or (), channel or ())
    if json_:
        print_json(hits)
        return
    if not hits:
        typer.echo("Nothing found.")
    for rank, hit in enumerate(hits, 1):
        bar = "" if hit["fits"] else ", below the bar: not offered"
        typer.echo(f"{rank}. {hit['title']}  [{hit['article_id']} v{hit['version']}]  confidence {hit['confidence']:.2f}{bar}")
        typer.echo(f"   {hit['answer'] or hit['passage']}")


@app.command()
def reindex(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; do index and store agree? (Status 1: no.)")] = False,
    json_: Json = False,
) -> None:
    """Build the index anew from the store, beside the one in use. Texts embedded before are not embedded again."""
    with _desk_and_progress(context, []) as (desk, show):
        result = desk.check() if check else desk.reindex(show)
    if json_:
        print_json(result)
    else:
        for line in reindex_lines(result):
            typer.echo(line)
    if result["differences"] or result["stale"]:
        raise typer.Exit(1)


@contextmanager
def _desk_and_progress(context: typer.Context, queries: list[Path]) -> Iterator[tuple[KnowledgeDesk, Callable[[int, int, str], None]]]:
    """The knowledge base, and what shows (done, total, what) on a terminal; raises for a file of queries that is not there."""
    from rich.console import Console
    from rich.progress import Progress

    from copilot.assembly import open_knowledge

    for path in queries:
        existing(path)
    console = Console(stderr=True)
    with open_knowledge(settings_of(context)) as desk, Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("queries", total=None)

        def show(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield desk, show


@app.command()
def gaps(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Of calls, back from now.")] = 30,
    json_: Json = False,
) -> None:
    """What customers asked that no article answered, or that agents rejected the answer to; questions alike together, most asked first."""
    from copilot.assembly import open_knowledge

    with open_knowledge(settings_of(context)) as desk:
        report = desk.gaps(days)
    if json_:
        print_json(report)
    else:
        for line in gap_lines(report):
            typer.echo(line)


@app.command()
def eval(  # noqa: A001
    context: typer.Context,
    queries: Annotated[
        list[Path], typer.Option("--queries", help="JSONL of {query, article_id} or {query, answerable: false}; several are one set.")
    ],
    noise: Annotated[
        list[str] | None,
        typer.Option(help="Also with noise on Chinese queries: homophone, near-homophone, drop, random or mixed, and a rate (mixed:0.2)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 1,
    ablation: Annotated[bool, typer.Option("--ablation", help="Also without each field, and with each alone.")] = False,
    gate: Annotated[
        Path | None, typer.Option(help="YAML rules that must be met, such as {measure: mrr, at_least: 0.7}; status 1 if one is not.")
    ] = None,
    json_: Json = False,
) -> None:
    """Recall@k, MRR, nDCG@10 and answerability of a labelled query set, with bootstrap intervals."""
    with _desk_and_progress(context, queries) as (desk, show):
        if gate is not None:
            existing(gate)
        result = desk.evaluate(queries, noise or [], seed, ablation, show, gate)
    if json_:
        print_json(result)
    else:
        for line in evaluation_lines(result):
            typer.echo(line)
    for reason in result["failures"]:
        typer.echo(f"Gate: {reason}", err=True)
    if result["failures"]:
        raise typer.Exit(1)


@app.command()
def tune(
    context: typer.Context,
    queries: Annotated[
        list[Path],
        typer.Option("--queries", help="JSONL as for kb eval, of queries that will not be used to judge; with some that nothing answers."),
    ],
    noise: Annotated[
        list[str] | None, typer.Option(help="Fit also to queries with this noise, as for kb eval (default: mixed:0.2).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report only; store nothing.")] = False,
    json_: Json = False,
) -> None:
    """Fit to labelled queries how the knowledge base ranks and when nothing fits; kept in the store, for every node and either engine."""
    with _desk_and_progress(context, queries) as (desk, show):
        result = desk.tune(queries, noise or ["mixed:0.2"], seed, not dry_run, show)
    if json_:
        print_json(result)
    else:
        for line in tuning_lines(result):
            typer.echo(line)
