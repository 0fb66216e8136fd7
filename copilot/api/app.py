"""The FastAPI application, put together from its routers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from copilot.api import assets, auth, calls, feed_ws, health, kb, problems
from copilot.api.context import ApiContext

_MAX_BODY = 1_000_000


def create_app(context: ApiContext) -> FastAPI:
    """The application. Nothing is opened here: everything comes with ``context``."""
    app = FastAPI(
        title="Pangting",
        summary="Contact-center copilot: calls, knowledge, after-call artifacts.",
        version=context.version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    problems.install(app)
    headers = assets.security_headers(context.origins)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY:
            return problems.problem(413, "Too large", f"A request body may have at most {_MAX_BODY} bytes.")
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
    api.include_router(kb.router(context))
    api.include_router(health.status_router(context))
    api.include_router(feed_ws.router(context))
    app.include_router(health.router(context))
    app.include_router(api)
    app.include_router(assets.router(context.web_dir))
    return app
