"""The FastAPI application, put together from its routers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, HTTPException, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from copilot.api import (
    appeals,
    articles,
    assets,
    audio,
    auth,
    calls,
    console,
    embed,
    exports,
    feed_ws,
    graph,
    health,
    insights,
    jobs,
    kb,
    kb_import,
    microphone,
    packs,
    preferences,
    problems,
    quality,
    search,
    suggestions,
    telephony,
    tools,
    webhooks,
    wrapup,
)
from copilot.api.context import ApiContext

_MAX_BODY = 1_000_000


def _too_large(most: int) -> str:
    return f"A request body may have at most {most} bytes."


class _BodyLimit:
    """Counts what arrives: a chunked body does not say beforehand how long it is. ``most(path)``: bytes that it may have."""

    def __init__(self, app: ASGIApp, most: Callable[[str], int]) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken, most = 0, self._most(scope.get("path", ""))

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, _too_large(most))
            return message

        await self._app(scope, limited if scope["type"] == "http" else receive, send)


def create_app(context: ApiContext) -> FastAPI:
    """The application. Nothing is opened here: everything comes with ``context``."""
    app = FastAPI(
        title="Pangting",
        summary="Contact-center copilot: calls, knowledge, after-call artifacts.",
        version=context.version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses={"4XX": problems.DOCUMENTED},
    )
    problems.install(app)
    headers = assets.security_headers(context.origins)
    # Inside of the next one, which would hide from FastAPI what it raises.

    def most_of(path: str) -> int:
        return int(context.imports.max_bytes) if path == kb_import.PATH else _MAX_BODY

    app.add_middleware(_BodyLimit, most=most_of)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length, most = request.headers.get("content-length", "0"), most_of(request.url.path)
        if not length.isdigit() or int(length) > most:
            response: Response = problems.problem(413, "Too large", _too_large(most))
        else:
            response = await call_next(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    if context.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(context.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
    api = APIRouter(prefix="/api/v1")
    api.include_router(auth.router(context))
    api.include_router(calls.router(context))
    api.include_router(suggestions.router(context))
    api.include_router(tools.router(context))
    api.include_router(wrapup.router(context))
    api.include_router(preferences.router(context))
    api.include_router(embed.router(context))
    api.include_router(jobs.router(context))
    api.include_router(webhooks.router(context))
    api.include_router(exports.router(context))
    api.include_router(audio.router(context))
    api.include_router(console.router(context))
    api.include_router(insights.router(context))
    api.include_router(search.router(context))
    api.include_router(quality.router(context))
    api.include_router(appeals.router(context))
    api.include_router(kb.router(context))
    api.include_router(articles.router(context))
    api.include_router(graph.router(context))
    api.include_router(kb_import.router(context))
    api.include_router(packs.router(context))
    api.include_router(telephony.router(context))
    api.include_router(microphone.router(context))
    api.include_router(health.status_router(context))
    api.include_router(feed_ws.router(context))
    app.include_router(health.router(context))
    app.include_router(api)
    app.include_router(assets.router(context.web_dir))
    return app
