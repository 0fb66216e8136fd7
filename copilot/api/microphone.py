"""What a page with a microphone asks before it calls. The call itself is the raw protocol: docs/reference/raw-protocol.md."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from copilot.api.auth import current_user
from copilot.api.context import ApiContext, PageCalls
from copilot.domain.people import User


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["telephony"])

    @routes.get("/microphone")
    def microphone(request: Request, _user: Annotated[User, Depends(current_user(context))]) -> PageCalls:
        """Whether a signed-in person may call from a page with a microphone, and the websocket to connect to.

        Where no public address is set, the address is that of this request's host with the telephony port.
        """
        return context.page_calls(request.url.hostname or "localhost")

    return routes
