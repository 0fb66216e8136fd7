"""What people write about a call: notes, the after-call form, whispers. Everything typed is masked before it is stored."""

import uuid
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import decode_artifact, encode_artifact, to_json, to_json_time
from copilot.domain.calls import Call
from copilot.domain.errors import Conflict, Forbidden, NotFound
from copilot.domain.events import WhisperSent
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry, User, scope_of
from copilot.domain.wrapup import EDITABLE_KINDS, EditableKind, Note, changes
from copilot.privacy.typed import mask_typed

Json = dict[str, Any]
MAX_NOTE = 4000
MAX_WHISPER = 200
_MAX_TEXT = 2000
"""Characters of one text inside an artifact."""
_MAX_LINES = 40


class NoteText(BaseModel):
    text: str = Field(max_length=MAX_NOTE)


class DraftBody(BaseModel):
    """``body`` is a whole artifact of its kind (docs/reference/schemas/pangting.json)."""

    base_version: int = Field(ge=1)
    body: dict[str, Any]


class Whisper(BaseModel):
    text: str = Field(min_length=1, max_length=MAX_WHISPER)


def supervises(user: User) -> bool:
    """Whether this person has the live board and whispers: who sees the calls of others while they run."""
    scope = scope_of(user)
    return scope.sees_all_calls or scope.sees_team_calls


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/calls/{call_id}", tags=["calls"])
    signed = Depends(current_user(context))

    def masker(user: User, call_id: str) -> Callable[[str], str]:
        vault = context.calls.vault(user.org_id, CallId(call_id))
        return lambda text: mask_typed(text, vault)

    @routes.get("/notes")
    def read_notes(call_id: str, user: Annotated[User, signed]) -> Json:
        """The notes on a call. Agents see their own; whoever reviews the call sees all of them."""
        context.calls.call(scope_of(user), CallId(call_id))
        notes = context.notes.notes(user.org_id, CallId(call_id))
        if not supervises(user):
            notes = [note for note in notes if note.user_id == user.user_id]
        names = people_names(context, user.org_id, (note.user_id for note in notes))
        return {"notes": [_note(note, names, user) for note in notes]}

    @routes.put("/notes")
    def write_note(call_id: str, body: NoteText, user: Annotated[User, signed]) -> Json:
        """Replaces the caller's own note; an empty text removes it. The text comes back as it was stored, masked."""
        context.calls.call(scope_of(user), CallId(call_id))
        note = context.notes.write(user.org_id, CallId(call_id), user.user_id, masker(user, call_id)(body.text))
        return _note(note, {user.user_id: user.display_name}, user)

    @routes.get("/wrap-up")
    def read_form(call_id: str, user: Annotated[User, signed]) -> Json:
        """What the caller has typed into the after-call form and not handed in yet."""
        drafts = context.wrap_up.drafts(scope_of(user), CallId(call_id))
        return {
            "drafts": [
                {**encode_artifact(draft.artifact), "base_version": draft.base_version, "updated_at": to_json_time(draft.updated_at)}
                for draft in drafts.values()
            ]
        }

    @routes.put("/wrap-up/{kind}", status_code=204)
    def save_draft(call_id: str, kind: str, body: DraftBody, user: Annotated[User, signed]) -> Response:
        """Keeps what was typed. Only the agent of the call, after its end, before the form is handed in."""
        mask = masker(user, call_id)
        artifact = decode_artifact({"kind": _editable(kind), "version": body.base_version, "body": _masked(body.body, mask)})
        context.wrap_up.save_draft(scope_of(user), CallId(call_id), artifact, body.base_version)
        return Response(status_code=204)

    @routes.post("/wrap-up/submit")
    def submit(call_id: str, user: Annotated[User, signed]) -> Json:
        """Hands the form in: every draft becomes a version of its artifact, with its author."""
        return {"versions": dict(context.wrap_up.submit(scope_of(user), CallId(call_id)))}

    @routes.post("/wrap-up/reopen", status_code=204)
    def reopen(call_id: str, user: Annotated[User, signed]) -> Response:
        """Takes the form back. What was handed in stays as versions."""
        context.wrap_up.reopen(scope_of(user), CallId(call_id))
        return Response(status_code=204)

    @routes.get("/artifacts/{kind}/versions")
    def versions(call_id: str, kind: str, user: Annotated[User, signed]) -> Json:
        """Every version, oldest first, with its author and what it changed against the version it began from."""
        found = context.wrap_up.versions(scope_of(user), CallId(call_id), _editable(kind))
        bodies = {item.artifact.version: to_json(item.artifact.body) for item in found}
        names = people_names(context, user.org_id, (item.author for item in found if item.author is not None))
        return {
            "versions": [
                {
                    **encode_artifact(item.artifact),
                    "author": item.author,
                    "author_name": names.get(item.author, "") if item.author is not None else "",
                    "base_version": item.base_version,
                    "created_at": to_json_time(item.created_at),
                    "changes": [to_json(change) for change in changes(bodies[item.base_version], bodies[item.artifact.version])]
                    if item.base_version in bodies
                    else [],
                }
                for item in found
            ]
        }

    @routes.post("/whispers", status_code=201)
    def whisper(call_id: str, body: Whisper, user: Annotated[User, signed]) -> Json:
        """A word to the agent of a live call, on the agent's sidebar. For those who supervise; audited without its text."""
        if not supervises(user):
            raise Forbidden("Only supervisors can whisper to an agent.")
        call = context.calls.call(scope_of(user), CallId(call_id))
        _check_whisper(call, user)
        event = WhisperSent(whisper_id=uuid.uuid4().hex[:12], user_id=user.user_id, text=masker(user, call_id)(body.text.strip()))
        context.calls.append(user.org_id, call.call_id, event)
        now = context.clock.now()
        context.audit.record(AuditEntry(org_id=user.org_id, at=now, actor=user.user_id, action="call.whisper", target=call_id))
        return {"whisper_id": event.whisper_id}

    return routes


def people_names(context: ApiContext, org_id: OrgId, ids: Iterable[UserId]) -> dict[UserId, str]:
    """Display names; who is not there any more has none."""
    names: dict[UserId, str] = {}
    for user_id in set(ids):
        try:
            names[user_id] = context.people.user(org_id, user_id).display_name
        except NotFound:
            continue
    return names


def _check_whisper(call: Call, user: User) -> None:
    if call.phase != "live" or call.agent_id is None:
        raise Conflict("There is nobody to whisper to: the call has ended or has no agent.")
    if call.agent_id == user.user_id:
        raise Conflict("This is your own call.")


def _editable(kind: str) -> EditableKind:
    if kind not in EDITABLE_KINDS:
        raise NotFound(f"There is no form for {kind!r}; it is one of {', '.join(EDITABLE_KINDS)}.")
    return kind


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    """Every text of an artifact's body masked; texts and lists beyond their limits are cut."""
    if isinstance(value, str):
        return mask(value[:_MAX_TEXT])
    if isinstance(value, list):
        return [_masked(item, mask) for item in value[:_MAX_LINES]]
    if isinstance(value, dict):
        # Ids and names of the bank's own lists are not typed; a masker must not take one for a number.
        return {key: item if key in _FIXED else _masked(item, mask) for key, item in value.items()}
    return value


_FIXED = frozenset({
    "utterance_ids", "evidence", "level1", "level2", "taxonomy_version", "alternatives", "language", "method", "model", "owner", "polarity",
    "due", "cause", "cause_evidence", "slots",
})  # fmt: skip


def _note(note: Note, names: dict[UserId, str], reader: User) -> Json:
    return {
        "user_id": note.user_id,
        "name": names.get(note.user_id, ""),
        "mine": note.user_id == reader.user_id,
        "text": note.text,
        "updated_at": to_json_time(note.updated_at),
    }
