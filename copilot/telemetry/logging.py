"""Logs: one line an event, JSON for machines or colours for people, to the stream that is handed in (standard error by default).

What somebody said never gets into a line: keys that hold content are refused, keys with ``pii`` in their name are dropped unless the
operator allowed them for a debugging session.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

REFUSED_KEYS = frozenset(
    {
        "text",
        "stable",
        "unstable",
        "transcript",
        "utterance",
        "words",
        "quote",
        "password",
        "token",
        "ticket",
        "secret",
        "authorization",
        "value",
    }
)
"""Keys under which content or credentials would travel; their values are replaced."""
REFUSED = "[refused: content is not logged]"


class PersonalFilter:
    """A structlog processor that keeps content and personal data out of the line."""

    def __init__(self, *, allow_pii: bool = False) -> None:
        self._allow = allow_pii

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ARG002
        for key in list(event):
            name = key.lower()
            if "pii" in name.split("_") and not self._allow:
                del event[key]
            elif name in REFUSED_KEYS:
                event[key] = REFUSED
        return event


def configure_logging(
    style: Literal["json", "console"] = "console", level: str = "INFO", *, stream: TextIO | None = None, allow_pii: bool = False
) -> None:
    """Sets up structlog and the standard library's logging alike, so that libraries' lines look like ours. Called once, by the program."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        PersonalFilter(allow_pii=allow_pii),
    ]
    rendering: list[Processor]
    if style == "json":
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        # Plain tracebacks: the pretty ones print local variables, and those hold what was said.
        rendering = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        foreign_pre_chain=shared,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("httpx", "httpcore", "websockets", "alembic"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Its warnings quote what was parsed, and that is what somebody typed.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
