"""Imports of knowledge files: upload, progress, cancel. What arrives here are drafts: only review puts them in force."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Request

from copilot.api import upload
from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.codec import to_json
from copilot.domain.article_life import READERS, check_role
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId, UserId
from copilot.domain.imports import ImportInput, ImportOptions, ImportRun
from copilot.domain.people import User
from copilot.store.imports import SqlImports

Json = dict[str, Any]
PATH = "/api/v1/kb/imports"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


class ImportDesk(Protocol):
    """What the composition root provides. Blocking."""

    max_bytes: int
    """Of one upload."""
    reads_scans: bool
    """Whether OCR is installed."""

    def imports(self, org_id: OrgId) -> SqlImports: ...

    def open_upload(self, user: User, options: ImportOptions) -> tuple[ImportRun, Path]:
        """A run to be, and the empty directory for its files. Raises Overloaded, EngineError."""
        ...

    def submit(self, run: ImportRun, inputs: Sequence[ImportInput]) -> ImportRun: ...

    def discard(self, run: ImportRun) -> None: ...


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(prefix="/kb/imports", tags=["knowledge"])
    signed = Depends(current_user(context))
    desk: ImportDesk = context.imports

    def shown(run: ImportRun) -> Json:
        """The run as the screens need it, with the name of who began it and without what only the server needs."""
        value: Json = to_json(run)
        for name in ("org_id", "node", "collections"):
            del value[name]
        try:
            value["actor_name"] = context.people.user(run.org_id, UserId(run.actor)).display_name
        except NotFound:
            value["actor_name"] = ""
        return value

    @routes.post("", status_code=202, openapi_extra=_BODY)
    async def start(
        request: Request,
        user: Annotated[User, signed],
        retire: bool = False,
        language: Literal["zh", "en", ""] = "",
    ) -> Json:
        """Uploads files (a file's name may have folders) and queues their import as drafts; knowledge editors and administrators only.

        `retire`: articles that an earlier import of the same file, folder or archive made and this one no longer has are retired.
        `language`: of all articles, instead of their text's own.
        """
        check_role(user)
        options = ImportOptions(retire=retire, language=language)
        run, folder = await asyncio.to_thread(desk.open_upload, user, options)
        try:
            inputs = await upload.receive(request.stream(), upload.Upload(request.headers.get("content-type", ""), folder))
            return await asyncio.to_thread(lambda: shown(desk.submit(_named(run, inputs), inputs)))
        except BaseException:
            desk.discard(run)
            raise

    @routes.get("")
    def runs(user: Annotated[User, signed], limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Json:
        """The newest imports, and what an upload may be."""
        check_role(user, READERS)
        found = desk.imports(user.org_id).runs(limit)
        return {"runs": [shown(run) for run in found], "max_bytes": desk.max_bytes, "reads_scans": desk.reads_scans}

    @routes.get("/{run_id}")
    def one(run_id: str, user: Annotated[User, signed]) -> Json:
        """An import with its files, each with its state; `done` and `total` count pages or rows."""
        check_role(user, READERS)
        imports = desk.imports(user.org_id)
        run = imports.run(run_id)
        return {"run": shown(run), "files": [to_json(file) for file in imports.files(run_id)]}

    @routes.post("/{run_id}/cancel")
    def cancel(run_id: str, user: Annotated[User, signed]) -> Json:
        """Ends an import before its next page; what is done stays."""
        check_role(user)
        return shown(desk.imports(user.org_id).cancel(run_id, user.user_id))

    return routes


def _named(run: ImportRun, inputs: Sequence[ImportInput]) -> ImportRun:
    """Named after its folder, or its first file."""
    tops = list(dict.fromkeys(item.name.split("/")[0] for item in inputs))
    return replace(run, name=tops[0] if len(tops) == 1 else f"{tops[0]} + {len(tops) - 1}")
