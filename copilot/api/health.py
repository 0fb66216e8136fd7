"""Liveness, readiness, metrics and the state of the parts."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.domain.people import User


def router(context: ApiContext) -> APIRouter:
    """At the root: for load balancers and Prometheus, without sign-in and without content."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @routes.get("/readyz")
    def readyz(response: Response) -> dict[str, Any]:
        """Calls can be taken."""
        status = context.status()
        if not status["ready"]:
            response.status_code = 503
        return {"ready": status["ready"]}

    @routes.get("/metrics", response_class=Response)
    def metrics() -> Response:
        return Response(context.render_metrics(), media_type=CONTENT_TYPE_LATEST)

    return routes


def status_router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["operation"])

    @routes.get("/status")
    def status(_user: Annotated[User, Depends(current_user(context))]) -> dict[str, Any]:
        """Parts (recognition, knowledge, jobs, llm) and capacity."""
        return context.status()

    return routes
