"""``pangting kb graph``: the facts that articles hold about products, and what editors decide about them."""

from __future__ import annotations

from typing import Annotated

import typer

from copilot.cli.inputs import Language
from copilot.cli.output import Json, print_json, settings_of
from copilot.domain.graph import RELATIONS, EditKind, Fact, Graph, GraphEdit, Guidance

app = typer.Typer(help="The knowledge graph: facts about products, read from the articles in force.", no_args_is_help=True)
Author = Annotated[str, typer.Option("--author", help="Username of the knowledge editor who decides.")]


@app.command("list")
def list_(
    context: typer.Context,
    language: Language = "zh",
    product: Annotated[str, typer.Option(help="Only facts of this product, by its id (credit_card).")] = "",
    relation: Annotated[str, typer.Option(help=f"Only these: {', '.join(RELATIONS)}.")] = "",
    state: Annotated[str, typer.Option(help="Only these: found, confirmed, rejected, added, lost.")] = "",
    json_: Json = False,
) -> None:
    """The facts with their sources, by product and place."""
    from copilot.assembly.graph import open_graph
    from copilot.codec import to_json

    with open_graph(settings_of(context)) as (desk, _):
        graph = desk.graph(language)
    facts = [
        fact
        for fact in graph.facts
        if (not product or fact.subject == product) and (not relation or fact.relation == relation) and (not state or fact.state == state)
    ]
    if json_:
        print_json(
            {"language": language, "entities": [to_json(one) for one in graph.entities.values()], "facts": [to_json(one) for one in facts]}
        )
        return
    for fact in facts:
        typer.echo(_line(fact, graph))
    typer.echo(f"{len(facts)} facts of {len({fact.subject for fact in facts})} products.")


@app.command()
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What a customer might ask.")],
    language: Language = "zh",
    json_: Json = False,
) -> None:
    """Which product the customer may mean, or two products side by side, each value with its source. Facts of any article count."""
    from copilot.assembly.graph import open_graph
    from copilot.codec import to_json

    with open_graph(settings_of(context)) as (desk, _):
        desk.refresh()
        guidance = desk.guide(question, language)
    if json_:
        print_json({"guidance": to_json(guidance) if guidance is not None else None})
    else:
        for line in _told(guidance):
            typer.echo(line)


@app.command()
def confirm(
    context: typer.Context, key: Annotated[str, typer.Argument(help="Of the fact.")], author: Author, language: Language = "zh"
) -> None:
    """A fact is right."""
    _decide(context, author, GraphEdit(kind="verdict", target=key, language=language, body={"state": "confirmed"}))


@app.command()
def reject(
    context: typer.Context, key: Annotated[str, typer.Argument(help="Of the fact.")], author: Author, language: Language = "zh"
) -> None:
    """A fact is wrong: it never answers again, also after the articles are read anew."""
    _decide(context, author, GraphEdit(kind="verdict", target=key, language=language, body={"state": "rejected"}))


@app.command()
def add(
    context: typer.Context,
    subject: Annotated[str, typer.Option(help="The product's id.")],
    relation: Annotated[str, typer.Option(help=f"One of {', '.join(RELATIONS)}.")],
    value: Annotated[str, typer.Option(help="As the article has it; 'free' for what costs nothing.")],
    article: Annotated[str, typer.Option(help="The article's id.")],
    quote: Annotated[str, typer.Option(help="The words of the article that say so.")],
    author: Author,
    topic: Annotated[str, typer.Option(help="What the value is of.")] = "",
    language: Language = "zh",
) -> None:
    """Add a fact that the machine did not find. It answers as long as its words stand in the article in force."""
    body = {"subject": subject, "relation": relation, "value": value, "topic": topic, "article_id": article, "quote": quote}
    _decide(context, author, GraphEdit(kind="fact", target="", language=language, body=body))


@app.command()
def rename(
    context: typer.Context,
    product: Annotated[str, typer.Argument(help="Its id.")],
    name: Annotated[str, typer.Argument(help="What this bank calls it.")],
    author: Author,
    language: Language = "zh",
) -> None:
    """Give a product the name it has here; it is also looked for in articles and questions."""
    _decide(context, author, GraphEdit(kind="name", target=product, language=language, body={"name": name}))


@app.command()
def merge(
    context: typer.Context,
    product: Annotated[str, typer.Argument(help="The one that goes.")],
    into: Annotated[str, typer.Argument(help="The one that stays.")],
    author: Author,
    language: Language = "zh",
) -> None:
    """Make two products one: facts and names of the first are the second's."""
    _decide(context, author, GraphEdit(kind="merge", target=product, language=language, body={"into": into}))


@app.command("take-back")
def take_back(
    context: typer.Context,
    kind: Annotated[EditKind, typer.Argument(help="verdict, fact, name or merge.")],
    target: Annotated[str, typer.Argument(help="The fact's key, or the product's id.")],
    author: Author,
    language: Language = "zh",
) -> None:
    """As if it had never been decided."""
    from copilot.assembly.graph import open_graph

    with open_graph(settings_of(context)) as (desk, user):
        desk.take_back(language, kind, target, user(author))
    typer.echo("Taken back.")


def _decide(context: typer.Context, author: str, edit: GraphEdit) -> None:
    from copilot.assembly.graph import open_graph

    with open_graph(settings_of(context)) as (desk, user):
        made = desk.put(edit, user(author))
    typer.echo(f"Kept: {made.kind} {made.target}.")


def _line(fact: Fact, graph: Graph) -> str:
    source = fact.source
    place = f"{source.article_id} v{source.version} {source.field} {source.start}-{source.end}"
    name = graph.entities[fact.subject].name if fact.subject in graph.entities else fact.subject
    return f"{fact.key}  {name}  {fact.relation}  {fact.value}  ({fact.topic or '-'})  {fact.state} {fact.confidence:.2f}  [{place}]"


def _told(guidance: Guidance | None) -> list[str]:
    if guidance is None:
        return ["The graph has nothing to add to this question."]
    head = "Ask which is meant:" if guidance.kind == "ask" else "Side by side:"
    rows = [
        f"  {choice.name}: "
        + "; ".join(f"{fact.value} ({fact.topic or '-'}) [{fact.source.article_id} v{fact.source.version}]" for fact in choice.facts)
        for choice in guidance.choices
    ]
    return [head, *rows]
