"""Errors as RFC 9457 problem details. The one place where errors become HTTP statuses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from copilot.codec import to_json
from copilot.domain.errors import (
    ConfigError,
    Conflict,
    CopilotError,
    EngineError,
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    ProtocolError,
    Unauthenticated,
)
from copilot.domain.packs import BadPack, PackConflict

MEDIA_TYPE = "application/problem+json"
_FIELDS = {"type": "string", "title": "string", "status": "integer", "detail": "string"}
DOCUMENTED: dict[str, Any] = {
    "description": "A problem (RFC 9457); `detail` is one sentence for a person.",
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "object", "required": list(_FIELDS), "properties": {name: {"type": kind} for name, kind in _FIELDS.items()}}
        }
    },
}
"""How every error looks, for the OpenAPI document."""
_STATUS: tuple[tuple[type[CopilotError], int, str], ...] = (
    (Unauthenticated, 401, "Not signed in"),
    (Forbidden, 403, "Not allowed"),
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (InvalidInput, 422, "Invalid input"),
    (ProtocolError, 400, "Protocol error"),
    (Overloaded, 503, "No capacity"),
    (EngineError, 503, "A part of the copilot is not available"),
    (ConfigError, 500, "Configuration error"),
)


def status_of(error: CopilotError) -> tuple[int, str]:
    """(HTTP status, title) of an error."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return status, title
    return 500, "Internal error"


def problem(status: int, title: str, detail: str, **extra: Any) -> JSONResponse:
    """A problem response. ``detail`` is one sentence for a person."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Every error of the API leaves it as a problem."""

    @app.exception_handler(CopilotError)
    async def on_copilot_error(_request: Request, error: CopilotError) -> JSONResponse:
        status, title = status_of(error)
        more = {"faults": [to_json(fault) for fault in error.faults]} if isinstance(error, BadPack) else {}
        if isinstance(error, PackConflict):
            more = {"stored": to_json(error.stored)}
        return problem(status, title, str(error), **more)

    @app.exception_handler(Exception)
    async def on_fault(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "Internal error", "The server could not answer this request; the fault is in its log.")

    @app.exception_handler(HTTPException)
    async def on_http_error(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [{"where": list(fault["loc"]), "what": fault["msg"]} for fault in error.errors()]
        return problem(422, "Invalid input", "The request does not fit the API; see `faults`.", faults=jsonable_encoder(faults))
