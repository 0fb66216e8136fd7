"""The knowledge graph in the console: what it holds with its sources, and editors' decisions."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.article_life import READERS, check_role
from copilot.domain.graph import Fact, Graph, GraphEdit
from copilot.domain.people import User

Json = dict[str, Any]
Language = Literal["zh", "en"]
Kind = Literal["verdict", "fact", "name", "merge"]


class Change(BaseModel):
    """A decision; which of the fields count follows from ``kind`` (see docs/explanation/knowledge-graph.md)."""

    language: Language = "zh"
    kind: Kind
    target: str = Field("", max_length=200)
    state: str = Field("", max_length=20)
    name: str = Field("", max_length=60)
    into: str = Field("", max_length=200)
    subject: str = Field("", max_length=200)
    relation: str = Field("", max_length=20)
    value: str = Field("", max_length=200)
    topic: str = Field("", max_length=100)
    article_id: str = Field("", max_length=128)
    quote: str = Field("", max_length=1000)

    def edit(self) -> GraphEdit:
        """Only what is said."""
        body = {name: value for name, value in self.model_dump(exclude={"language", "kind", "target"}).items() if value.strip()}
        return GraphEdit(kind=self.kind, target=self.target, language=self.language, body=body)


class TakenBack(BaseModel):
    language: Language = "zh"
    kind: Kind
    target: str = Field(max_length=200)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/kb/graph", tags=["knowledge graph"])
    signed = Depends(current_user(context))

    def reader(user: Annotated[User, signed]) -> User:
        check_role(user, READERS)
        return user

    def editor(user: Annotated[User, signed]) -> User:
        check_role(user)
        return user

    @routes.get("")
    def graph(
        user: Annotated[User, Depends(reader)],
        language: Language = "zh",
        product: Annotated[str, Query(max_length=200, description="Facts of this one and of its kinds.")] = "",
        relation: Annotated[str, Query(pattern="^(fee|rate|limit|time|channel|document|condition|)$")] = "",
        state: Annotated[str, Query(pattern="^(found|confirmed|rejected|added|lost|)$")] = "",
        q: Annotated[str, Query(max_length=200, description="Words of the value, the topic, the statement or the title.")] = "",
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 200,
    ) -> Json:
        """Products with their numbers of facts, and the facts that the filters let through, by product and place.

        Only text that is in force today has facts; a fact that an editor added stays in sight as ``lost`` when its words are gone.
        """
        found = context.graph(user.org_id).graph(language)
        wanted = [fact for fact in found.facts if _matches(fact, relation, q)]
        below = _below(found, product)
        mine = [fact for fact in wanted if not product or fact.subject in below]
        shown = [fact for fact in mine if not state or fact.state == state]
        return {
            "language": language,
            "entities": _entities(found, wanted),
            "states": dict(Counter(fact.state for fact in mine)),
            "facts": [to_json(fact) for fact in shown[offset : offset + limit]],
            "total": len(shown),
        }

    @routes.post("/changes", status_code=201)
    def change(body: Change, user: Annotated[User, Depends(editor)]) -> Json:
        """Confirms or rejects a fact, adds one, names a product or merges it into another. It survives any reading of the articles."""
        made: Json = to_json(context.graph(user.org_id).put(body.edit(), user))
        return made

    @routes.post("/changes/take-back")
    def take_back(body: TakenBack, user: Annotated[User, Depends(editor)]) -> Json:
        """As if it had never been decided."""
        context.graph(user.org_id).take_back(body.language, body.kind, body.target, user)
        return {"target": body.target}

    return routes


def _matches(fact: Fact, relation: str, words: str) -> bool:
    if relation and fact.relation != relation:
        return False
    text = f"{fact.value} {fact.topic} {fact.source.quote} {fact.source.title}".casefold()
    return all(word in text for word in words.casefold().split())


def _below(graph: Graph, product: str) -> set[str]:
    """The product and everything that is a kind of it."""
    found = {product}
    while True:
        more = {name for name, entity in graph.entities.items() if entity.parent in found} - found
        if not more:
            return found
        found |= more


def _entities(graph: Graph, facts: Iterable[Fact]) -> list[Json]:
    counts = Counter(fact.subject for fact in facts)
    return [{**to_json(entity), "facts": counts[name]} for name, entity in sorted(graph.entities.items())]
