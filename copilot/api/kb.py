"""Knowledge search and the bank's labels in the user's language."""

from functools import lru_cache
from typing import Annotated, Any, Literal

import yaml
from fastapi import APIRouter, Depends, Query

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.knowledge import Query as KnowledgeQuery
from copilot.domain.knowledge import Scope
from copilot.domain.people import User
from copilot.domain.ports.knowledge import ArticleStore

Json = dict[str, Any]
Language = Literal["zh", "en"]


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["knowledge"])
    signed = Depends(current_user(context))

    @routes.get("/kb/search")
    def search(
        user: Annotated[User, signed],
        q: Annotated[str, Query(min_length=1, max_length=500)],
        language: Language = "zh",
        top_k: Annotated[int, Query(ge=1, le=50)] = 5,
        product: Annotated[list[str] | None, Query(max_length=20, description="Only for one of these; what names none is for all.")] = None,
        channel: Annotated[list[str] | None, Query(max_length=20, description="Only for one of these; what names none is for all.")] = None,
    ) -> Json:
        """The same search as the live suggestions use. Only what is valid today.

        ``guidance``: which product the customer may mean, or the products that are compared, with what the articles say of each; or null.
        """
        day = context.clock.now().astimezone().date()
        scope = Scope(products=tuple(product or ()), channels=tuple(channel or ()))
        hits = context.knowledge(user.org_id).search(KnowledgeQuery(text=q, language=language, day=day, top_k=top_k, scope=scope))
        # The index may lag behind the store by a moment; what was retired in it is not shown.
        now = context.articles(user.org_id).in_force([(hit.article.article_id, language) for hit in hits])
        hits = tuple(hit for hit in hits if now.get((hit.article.article_id, language)) == hit.article.version)
        guidance = context.graph(user.org_id).guide(q, language, {hit.article.article_id for hit in hits})
        return {"hits": [to_json(hit) for hit in hits], "guidance": to_json(guidance) if guidance is not None else None}

    @routes.get("/kb/articles/{article_id}")
    def article(article_id: str, user: Annotated[User, signed], language: Language = "zh") -> Json:
        found: Json = to_json(context.knowledge(user.org_id).article(article_id, language))
        return found

    @routes.get("/bank/labels")
    def labels(user: Annotated[User, signed], language: Language = "zh") -> Json:
        """Names of intents, ticket categories, rubric items, checklists and compliance rules."""
        return bank_labels(bank_packs(context.articles(user.org_id)), language)

    return routes


@lru_cache(maxsize=64)
def _parsed(text: str) -> Json:
    """Read only: a pack of a thousand lines takes a second to parse and is asked for with every page."""
    return yaml.safe_load(text) or {}


def bank_packs(store: ArticleStore) -> dict[str, Json]:
    """The packs that hold names, parsed; one that is not loaded is empty."""

    def pack(name: str) -> Json:
        found = store.pack(name)
        return _parsed(found[1]) if found is not None else {}

    return {name: pack(name) for name in ("intents", "taxonomy", "rubric", "sop", "compliance", "leads")}


def _text(value: Any, language: str) -> str:
    """A ``{zh, en}`` text in the language asked for, else in the other one."""
    if isinstance(value, dict):
        return str(value.get(language) or value.get("zh") or value.get("en") or "")
    return str(value or "")


def bank_labels(packs: dict[str, Json], language: str) -> Json:
    """Pure: the packs as the screens need them."""
    categories: dict[str, str] = {}
    tree: list[Json] = []
    for top in packs["taxonomy"].get("categories", ()):
        categories[top["id"]] = _text(top.get("name"), language)
        for child in top.get("children", ()):
            categories[child["id"]] = _text(child.get("name"), language)
        children = [{"id": child["id"], "name": categories[child["id"]]} for child in top.get("children", ())]
        tree.append({"id": top["id"], "name": categories[top["id"]], "children": children})
    return {
        "intents": {intent["id"]: _text(intent.get("name"), language) for intent in packs["intents"].get("intents", ())},
        "categories": categories,
        "category_tree": tree,
        "causes": {cause["id"]: _text(cause.get("name"), language) for cause in packs["taxonomy"].get("causes") or ()},
        "leads": {lead["id"]: _text(lead.get("name"), language) for lead in packs["leads"].get("leads") or ()},
        "rubric_sections": {item["id"]: _text(item.get("name"), language) for item in packs["rubric"].get("sections", ())},
        "rubric_items": {
            item["id"]: {
                "name": _text(item.get("name"), language),
                "description": _text(item.get("description"), language),
                "section": item.get("section", ""),
            }
            for item in packs["rubric"].get("items", ())
        },
        "checklists": [
            {
                "id": checklist["id"],
                "name": _text(checklist.get("name"), language),
                "intents": checklist.get("intents", []),
                "steps": [
                    {"id": step["id"], "name": _text(step.get("name"), language), "hint": _text(step.get("hint"), language)}
                    for step in checklist.get("steps", ())
                ],
            }
            for checklist in packs["sop"].get("checklists", ())
        ],
        "compliance_rules": {
            rule["id"]: {
                "name": _text(rule.get("name"), language),
                "advice": _text(rule.get("advice"), language),
                "severity": rule.get("severity", "info"),
            }
            for rule in packs["compliance"].get("rules", ())
        },
    }
