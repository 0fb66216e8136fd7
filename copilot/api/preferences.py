"""What a person has set for themselves: shortcuts, the style of replies. The same on every machine."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, field_validator

from copilot.api.auth import current_user
from copilot.api.context import ApiContext
from copilot.domain.people import User

Action = Literal["adopt1", "adopt2", "adopt3", "edit", "reject", "next", "style", "search", "alert", "notes", "help"]
_CHORD = re.compile(r"(?:(?:Ctrl|Alt|Shift|Meta)\+){0,4}(?:[A-Z0-9/?.,;\[\]\\`=-]|F\d{1,2}|Enter|Escape|Space|Arrow(?:Up|Down|Left|Right))")


class Preferences(BaseModel):
    """``keys``: action → chord (``Alt+1``), only those that differ from the defaults; two actions cannot have one chord."""

    keys: dict[Action, str] = Field(default_factory=dict)
    style: Literal["professional", "standard", "plain"] = "standard"

    @field_validator("keys")
    @classmethod
    def _chords(cls, keys: dict[Action, str]) -> dict[Action, str]:
        for chord in keys.values():
            if _CHORD.fullmatch(chord) is None:
                raise ValueError(f"{chord!r} is no chord; write it as Alt+1 or Ctrl+Shift+K")
        if len(set(keys.values())) != len(keys):
            raise ValueError("two actions have the same chord")
        return keys


def router(context: ApiContext) -> APIRouter:
    routes = APIRouter(tags=["sign-in"])
    signed = Depends(current_user(context))

    @routes.get("/me/preferences")
    def read(user: Annotated[User, signed]) -> Preferences:
        """The caller's own; the defaults where nothing was set."""
        return Preferences.model_validate(context.preferences.read(user.org_id, user.user_id))

    @routes.put("/me/preferences")
    def write(body: Preferences, user: Annotated[User, signed]) -> Preferences:
        context.preferences.write(user.org_id, user.user_id, body.model_dump(exclude_defaults=True))
        return body

    return routes
