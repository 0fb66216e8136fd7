"""What was recorded of a call: legs as WAV while the listening copy is being made, then the copy as FLAC. Masked, unless one has the right.

The right to the original is that to the values behind the tokens: it is the agent's of the call. Blocking reads run in worker threads.
"""

import itertools
import re
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from copilot.api.auth import current_user, media_user
from copilot.api.context import ApiContext, FilePart
from copilot.domain.calls import Call
from copilot.domain.errors import Forbidden
from copilot.domain.ids import CallId
from copilot.domain.people import AuditEntry, User, may_hear_values, scope_of

Json = dict[str, Any]
_AUDIT_AGAIN = timedelta(minutes=10)
_REMEMBERED = 10_000
_ORIGINAL = Query(description="The original instead of the masked one: for the agent of the call.")


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/calls", tags=["calls"])
    signed, player = Depends(current_user(context)), Depends(media_user(context))
    listeners = _Listeners(context)

    def audible(user: User, call_id: str, what: str, *, original: bool) -> Call:
        """Checks scope and right, and leaves an audit line."""
        call = context.calls.call(scope_of(user), CallId(call_id))
        if original and not may_hear_values(user.user_id, call.agent_id):
            raise Forbidden("Only the agent of this call may hear it unmasked; leave out original=true.")
        listeners.heard(user, "call.audio_original_opened" if original else "call.audio_opened", f"{call_id}/{what}")
        return call

    @routes.get("/{call_id}/audio")
    def audio(call_id: str, user: Annotated[User, signed]) -> Json:
        """What was recorded of each leg, and the listening copy (null while there is none)."""
        call = context.calls.call(scope_of(user), CallId(call_id))
        return {
            "legs": context.recordings.legs(user.org_id, call.call_id),
            "copy": context.recordings.copy(user.org_id, call.call_id),
            "may_hear_original": may_hear_values(user.user_id, call.agent_id),
        }

    @routes.get("/{call_id}/audio/copy.flac", response_class=Response)
    def copy_file(
        call_id: str,
        request: Request,
        user: Annotated[User, player],
        version: Annotated[int, Query(ge=1, le=2**31 - 1, description="As /audio names it.")],
        original: Annotated[bool, _ORIGINAL] = False,
    ) -> Response:
        """The listening copy: one FLAC file, customer left, agent right. Ranges are honoured; listening is audited."""
        call = audible(user, call_id, "copy", original=original)
        wanted = _range(request.headers.get("range"))
        part = context.recordings.flac(user.org_id, call.call_id, version, *(wanted or (None, None)), original=original)
        return _answer(part, "audio/flac", partial=wanted is not None)

    @routes.get("/{call_id}/audio/{channel}.wav", response_class=Response)
    def leg_file(
        call_id: str, channel: str, request: Request, user: Annotated[User, player], original: Annotated[bool, _ORIGINAL] = False
    ) -> Response:
        """One leg as WAV, from the sealed segments. Ranges are honoured; listening is audited."""
        call = audible(user, call_id, channel, original=original)
        wanted = _range(request.headers.get("range"))
        part = context.recordings.wav(user.org_id, call.call_id, channel, *(wanted or (None, None)), original=original)
        return _answer(part, "audio/wav", partial=wanted is not None)

    @routes.get("/{call_id}/audio/{channel}/peaks")
    def peaks(call_id: str, channel: str, user: Annotated[User, signed], buckets: Annotated[int, Query(ge=10, le=4000)] = 800) -> Json:
        context.calls.call(scope_of(user), CallId(call_id))
        return {"peaks": context.recordings.peaks(user.org_id, CallId(call_id), channel, buckets)}

    return routes


class _Listeners:
    """Writes an audit line when somebody begins to listen, and again after ten minutes: players ask for a file in many ranges."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._last: OrderedDict[tuple[str, str, str, str], datetime] = OrderedDict()

    def heard(self, user: User, action: str, target: str) -> None:
        key, now = (user.org_id, user.user_id, action, target), self._context.clock.now()
        last = self._last.get(key)
        if last is not None and now - last < _AUDIT_AGAIN:
            return
        self._context.audit.record(AuditEntry(org_id=user.org_id, at=now, actor=user.user_id, action=action, target=target))
        self._last[key] = now
        self._last.move_to_end(key)
        while len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)


def _answer(part: FilePart, media_type: str, *, partial: bool) -> Response:
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    if part.start >= part.end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{part.size}"})
    headers["Content-Length"] = str(part.end - part.start)
    if partial:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{part.size}"
    chunks = iter(part.chunks)
    # The first piece now: what is wrong with it becomes a problem, not a connection that breaks.
    first = next(chunks)
    return StreamingResponse(itertools.chain((first,), chunks), 206 if partial else 200, headers, media_type)


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def _range(header: str | None) -> tuple[int | None, int | None] | None:
    """One byte range of RFC 9110 §14 as (first, last), (None, length of the suffix); None: the whole (no, several or foreign ranges)."""
    found = _RANGE.fullmatch(header or "")
    if found is None or found.group(1) == found.group(2) == "":
        return None
    first, last = (int(part) if part else None for part in found.groups())
    return first, last
