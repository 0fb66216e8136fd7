"""The built web UI. Hashed files are cached for ever, pages never; a deep link gets the page."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from copilot.domain.errors import NotFound

_NO_UI = (
    "<!doctype html><meta charset=utf-8><title>Pangting</title>"
    "<p>The web UI is not built. Run <code>make web</code> and start the server again. / 前端尚未构建，请运行 make web 后重新启动。</p>"
)
_POLICY = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)


def security_headers(origins: tuple[str, ...]) -> dict[str, str]:
    """``origins`` may embed the sidebar in a frame; everybody else may not."""
    ancestors = " ".join(("'self'", *origins))
    return {
        "Content-Security-Policy": _POLICY.format(ancestors=ancestors),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=()",
    }


def router(web_dir: Path) -> APIRouter:
    """Serves ``web_dir`` (vite's output): ``/assets/*`` as files, every other path that is not the API as the page."""
    routes = APIRouter(include_in_schema=False)
    root = web_dir.resolve()

    @routes.get("/{path:path}")
    async def asset(path: str) -> Response:
        if path.startswith(("api/", "metrics", "healthz", "readyz")):
            raise NotFound(f"There is nothing at /{path}.")
        candidate = _file(root, path)
        if candidate is not None:
            immutable = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            return FileResponse(candidate, headers={"Cache-Control": immutable})
        if path.startswith("assets/"):
            raise NotFound(f"There is no file /{path}.")
        page = root / "index.html"
        if not page.is_file():
            return HTMLResponse(_NO_UI, status_code=503)
        return FileResponse(page, headers={"Cache-Control": "no-cache"})

    return routes


def _file(root: Path, path: str) -> Path | None:
    """The file under ``root``, if there is one."""
    try:
        candidate = (root / path).resolve()
        return candidate if path and candidate.is_relative_to(root) and candidate.is_file() else None
    except (OSError, ValueError):  # longer than a name may be, or with a NUL in it
        return None
