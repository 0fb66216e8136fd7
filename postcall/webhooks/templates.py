"""Bodies as other systems want them: a template is a file with a Jinja text that must yield JSON, rendered in a sandbox.

The sandbox reaches no attribute, file or module of the program; an undefined name is a fault; what comes out must be JSON with the fields
that the template itself declares as required.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.webhooks import WEBHOOK_EVENTS
from postcall.reading import document

OWN = Path(__file__).parent / "templates"
_MOST_BYTES = 256_000
_MOST_CHARACTERS = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTemplate:
    """``events``: those it can be used with. ``required``: dotted paths that the rendered JSON must have."""

    name: str
    description: str
    events: tuple[str, ...]
    required: tuple[str, ...]
    text: str

    def render(self, payload: Mapping[str, Any]) -> bytes:
        """The body, compact JSON in UTF-8. Raises InvalidInput naming the template and the fault, never a value."""
        try:
            text = _environment().from_string(self.text).render(payload)
        except Exception as error:  # whatever an expression of somebody's template may raise
            raise InvalidInput(f"The webhook template {self.name} cannot be rendered ({type(error).__name__}); correct it.") from None
        try:
            body = json.loads(text)
        except ValueError:
            raise InvalidInput(f"What the webhook template {self.name} yields is not JSON; put `| tojson` behind each value.") from None
        for path in self.required:
            if not _has(body, path.split(".")):
                raise InvalidInput(f"What the webhook template {self.name} yields lacks `{path}`.")
        made = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        if len(made) > _MOST_BYTES:
            raise InvalidInput(f"What the webhook template {self.name} yields is over {_MOST_BYTES} bytes.")
        return made


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    # Bodies are JSON, not HTML: values are quoted by `tojson`, which every template uses, and the result is parsed.
    return ImmutableSandboxedEnvironment(autoescape=False, undefined=jinja2.StrictUndefined)


def _has(body: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(body, dict) or body.get(name) in (None, ""):
            return False
        body = body[name]
    return True


def parse_template(name: str, text: str) -> BodyTemplate:
    """A template file. Raises InvalidInput, also when the Jinja text has a syntax error."""
    fields = document(text, f"webhook template {name}")
    events = fields.words("events")
    if not events or not set(events) <= set(WEBHOOK_EVENTS):
        raise fields.fault(f"`events` must name at least one of {', '.join(WEBHOOK_EVENTS)}.")
    body = fields.text("body")
    if len(body) > _MOST_CHARACTERS:
        raise fields.fault(f"`body` may have at most {_MOST_CHARACTERS} characters.")
    try:
        _environment().parse(body)
    except jinja2.TemplateSyntaxError as error:
        raise fields.fault(f"`body` is not a valid Jinja text (line {error.lineno}); correct it.") from None
    return BodyTemplate(name=name, description=fields.text("description"), events=events, required=fields.words("required"), text=body)


class Templates:
    """The templates that ship with the product, and those of a directory of the operator's, which may replace them by name."""

    def __init__(self, directory: Path | None = None) -> None:
        """Raises InvalidInput for a file that is no template."""
        self._found: dict[str, BodyTemplate] = {}
        for place in (OWN, directory):
            for path in sorted(place.glob("*.yaml")) if place is not None and place.is_dir() else ():
                self._found[path.stem] = parse_template(path.stem, path.read_text(encoding="utf-8"))

    def __iter__(self) -> Any:
        return iter(self._found.values())

    def get(self, name: str) -> BodyTemplate:
        """Raises NotFound."""
        if name not in self._found:
            raise NotFound(f"There is no webhook template {name}; there are {', '.join(sorted(self._found))}.")
        return self._found[name]

    def body(self, name: str, payload: Mapping[str, Any]) -> bytes:
        """The body for a payload; without a name, the payload itself. A test message is always the payload itself."""
        if not name or payload["type"] == "webhook.test":
            return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return self.get(name).render(payload)
