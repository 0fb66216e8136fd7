"""Pages of a knowledge site, signed in without the form: for tests of what stands behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page

from loadtest.server_process import ROOT
from tests.fakes.knowledge_site import KnowledgeSite
from tests.fakes.stores import ORG

WEB = ROOT / "copilot" / "api" / "_web"
SLOW = 60_000


@contextmanager
def served(site: KnowledgeSite) -> Iterator[str]:
    """The address of the site with the built pages."""
    if not (WEB / "index.html").exists():
        pytest.skip("the web UI is not built: make web")
    with site.served(WEB) as address:
        yield address


@contextmanager
def pages(chromium: Browser, site: KnowledgeSite, base: str, console_errors: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens ``path`` as the person ``who``; closes what was opened."""
    contexts = []

    def go(who: str, path: str, *, language: str = "zh", theme: str = "light", width: int = 1360) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, locale="zh-CN", color_scheme=theme)  # type: ignore[arg-type]
        contexts.append(context)
        user, session = site.users[who], site.store.signin.start_session(site.users[who])
        shown = {"user_id": user.user_id, "username": who, "display_name": user.display_name, "roles": sorted(user.roles), "org_id": ORG}
        stored = {"token": session.token, "expires_at": session.expires_at.isoformat(), "user": shown}
        context.add_init_script(
            f"sessionStorage.setItem('pangting.session', {json.dumps(json.dumps(stored))});"
            f"localStorage.setItem('pangting.language', '{language}');"
        )
        page = context.new_page()
        page.set_default_timeout(SLOW)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        page.goto(f"{base}{path}")
        return page

    yield go
    for context in contexts:
        context.close()
