"""The bank's packs: their versions, drafts, publication, and dry runs over past calls."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.console import Chosen, filter_of
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.errors import Forbidden
from copilot.domain.packs import (
    MOST_CHARACTERS,
    MOST_NOTE,
    PUBLISHERS,
    WRITERS,
    PackVersion,
    check_known,
    check_reader,
    may_publish,
)
from copilot.domain.people import REVIEWERS, User, scope_of
from copilot.domain.text_diff import diff_texts
from copilot.store.dry_runs import MOST_CALLS, ChangedCall, DryRun

Json = dict[str, Any]
Name = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class TextIn(BaseModel):
    text: str = Field(max_length=MOST_CHARACTERS)


class DraftIn(TextIn):
    note: str = Field("", max_length=MOST_NOTE)


class SaveIn(DraftIn):
    """``base_version``: the published version whose changes its author has seen."""

    revision: int = Field(ge=1, le=2**31 - 1)
    base_version: int = Field(ge=0, le=2**31 - 1)


class PublishIn(BaseModel):
    revision: int = Field(ge=1, le=2**31 - 1)


class ChoiceIn(Chosen):
    """Which calls: the newest ``limit`` that have ended and fit every facet."""

    limit: int = Field(200, ge=1, le=MOST_CALLS)


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["packs"])
    signed = Depends(current_user(context))
    desk = context.packs

    def shown(user: User, *versions: PackVersion) -> list[Json]:
        names = context.people.names(user.org_id, {who for found in versions for who in (found.author, found.published_by) if who})
        return [
            {**to_json(found), "author_name": names.get(found.author, ""), "publisher_name": names.get(found.published_by or "", "")}
            for found in versions
        ]

    def one(user: User, found: PackVersion) -> Json:
        return {**shown(user, found)[0], "may_publish": may_publish(found.name, user.roles) and found.author != user.user_id}

    @routes.get("/packs")
    def overview(user: Annotated[User, signed]) -> Json:
        """Every pack: the version in force, open drafts, and what the caller may do."""
        check_reader(user)
        packs = desk.packs(user.org_id)
        in_force, drafts = packs.in_force(), packs.drafts()
        rows = shown(user, *in_force, *drafts)
        return {
            "packs": [
                {
                    "name": name,
                    "published": next((row for row in rows if row["name"] == name and row["state"] == "published"), None),
                    "drafts": [row for row in rows if row["name"] == name and row["state"] == "draft"],
                    "may_publish": may_publish(name, user.roles),
                }
                for name in PUBLISHERS
            ],
            "may_write": bool(user.roles & WRITERS),
        }

    @routes.get("/packs/{name}/versions")
    def versions(name: Name, user: Annotated[User, signed]) -> Json:
        """Newest first, without their texts."""
        check_reader(user)
        return {"versions": shown(user, *desk.packs(user.org_id).versions(name))}

    @routes.get("/packs/{name}/versions/{version}")
    def version(name: Name, version: Number, user: Annotated[User, signed]) -> Json:
        check_reader(user)
        found, text = desk.packs(user.org_id).version(name, version)
        return {"version": one(user, found), "text": text}

    @routes.get("/packs/{name}/versions/{version}/diff")
    def diff(
        name: Name,
        version: Number,
        user: Annotated[User, signed],
        against: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the version it was begun from.")] = None,
    ) -> Json:
        """The text with what was taken out of the older version and what came in."""
        check_reader(user)
        packs = desk.packs(user.org_id)
        found, text = packs.version(name, version)
        old = against if against is not None else found.base_version
        before = packs.version(name, old)[1] if old else ""
        return {"old": old, "new": version, "pieces": [to_json(piece) for piece in diff_texts(before, text)]}

    @routes.post("/packs/{name}/check")
    def check(name: Name, body: TextIn, user: Annotated[User, signed]) -> Json:
        """What is wrong with a text, in the order of its lines, and without faults what stands in it; nothing is stored."""
        check_reader(user)
        faults = desk.faults(name, body.text)
        return {"faults": [to_json(fault) for fault in faults], "outline": [] if faults else desk.outline(name, body.text)}

    @routes.post("/packs/{name}/drafts", status_code=201)
    def begin(name: Name, body: DraftIn, user: Annotated[User, signed]) -> Json:
        """A draft on top of the version in force; one at a time for each person."""
        return one(user, desk.packs(user.org_id).begin(name, body.text, body.note, user))

    @routes.post("/packs/{name}/versions/{version}/save")
    def save(name: Name, version: Number, body: SaveIn, user: Annotated[User, signed]) -> Json:
        """Saves one's own draft, with faults or without; 409 with `stored` when `revision` is not the stored one."""
        packs = desk.packs(user.org_id)
        return one(user, packs.save(name, version, body.revision, body.text, body.note, body.base_version, user))

    @routes.post("/packs/{name}/versions/{version}/publish")
    def publish(name: Name, version: Number, body: PublishIn, user: Annotated[User, signed]) -> Json:
        """In force for calls and after-call work that begin from now on; 422 with `faults` for a text that is not fit for use."""
        return one(user, desk.publish(user, name, version, body.revision))

    @routes.post("/packs/{name}/versions/{version}/discard")
    def discard(name: Name, version: Number, user: Annotated[User, signed]) -> Json:
        return one(user, desk.packs(user.org_id).discard(name, version, user))

    @routes.post("/packs/{name}/versions/{version}/dry-runs", status_code=202)
    def start(name: Name, version: Number, body: ChoiceIn, user: Annotated[User, signed]) -> Json:
        """Queues a run of this version over past calls; nothing is stored at the calls."""
        wanted = asdict(filter_of(body, context.review.policy(user.org_id)))
        choice = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in wanted.items() if value is not None}
        choice["limit"] = body.limit
        return run_json(desk.start(user, name, version, choice), whole=False)

    @routes.get("/packs/{name}/dry-runs")
    def runs(name: Name, user: Annotated[User, signed]) -> Json:
        """The newest runs, without their results."""
        _check_calls(user)
        check_known(name)
        return {"runs": [run_json(run, whole=False) for run in desk.dry_runs.runs(user.org_id, name)]}

    @routes.get("/dry-runs/{run_id}")
    def run(run_id: str, user: Annotated[User, signed]) -> Json:
        """How far a run is, and its result (docs/reference/packs.md)."""
        _check_calls(user)
        return run_json(desk.dry_runs.run(user.org_id, run_id), whole=True)

    @routes.post("/dry-runs/{run_id}/cancel")
    def cancel(run_id: str, user: Annotated[User, signed]) -> Json:
        _check_calls(user)
        return run_json(desk.dry_runs.cancel(user.org_id, run_id, user.user_id), whole=False)

    @routes.get("/dry-runs/{run_id}/calls")
    async def changed(
        run_id: str,
        user: Annotated[User, signed],
        key: Annotated[str | None, Query(max_length=256, description="Only where this question, category, rule or step changes.")] = None,
        after: Annotated[int, Query(ge=-1, le=MOST_CALLS)] = -1,
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
    ) -> Json:
        """The calls that would be judged differently, with the words that the judgement rests on as they stand in the transcript now."""
        _check_calls(user)

        def page() -> Json:
            desk.dry_runs.run(user.org_id, run_id)
            found = desk.dry_runs.changed(user.org_id, run_id, key, after, limit + 1)
            listed = context.call_list.visible(scope_of(user), [row.call_id for row in found])
            names = context.people.names(user.org_id, {row.call.agent_id for row in listed.values() if row.call.agent_id})
            rows = [_changed(context, user, row, listed, names) for row in found[:limit] if row.call_id in listed]
            return {"calls": rows, "next": found[limit - 1].number if len(found) > limit else None}

        return await asyncio.to_thread(page)

    return routes


def run_json(run: DryRun, *, whole: bool) -> Json:
    """A run as the API tells it."""
    left_out = ("org_id",) if whole else ("org_id", "result")
    return {name: value for name, value in to_json(run).items() if name not in left_out}


def _check_calls(user: User) -> None:
    if not user.roles & REVIEWERS:
        raise Forbidden("Only those who may open every call see dry runs over them.")


def _changed(context: ApiContext, user: User, row: ChangedCall, listed: Mapping[str, Any], names: Mapping[Any, str]) -> Json:
    call = listed[row.call_id].call
    changes = row.changes["changes"]
    wanted = frozenset(place for change in changes for side in ("before", "after") for place in change[f"{side}_evidence"])
    started: datetime | None = call.started_at
    return {
        "number": row.number,
        "call_id": row.call_id,
        "started_at": started.isoformat() if started is not None else None,
        "agent_name": names.get(call.agent_id, ""),
        "language": call.language,
        **row.changes,
        "words": context.packs.words(user.org_id, row.call_id, wanted) if wanted else {},
    }
