"""What commands are given: files that must be there, and languages. One sentence when they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from copilot.domain.errors import InvalidInput, NotFound

LANGUAGES = ("zh", "en")


def _known_language(value: str) -> str:
    if value not in LANGUAGES:
        raise typer.BadParameter(f"{value!r} is not a language of this product; it is {' or '.join(LANGUAGES)}.")
    return value


Language = Annotated[str, typer.Option("--language", callback=_known_language, help="`zh` or `en`.")]


def existing(path: Path, *, folder: bool = False) -> Path:
    """The path, if there is such a file (or a folder, where one may be given). Raises NotFound or InvalidInput."""
    if not path.exists():
        raise NotFound(f"There is no file {'or folder ' if folder else ''}{path}; check the path.")
    if path.is_dir() and not folder:
        raise InvalidInput(f"{path} is a folder; give a file.")
    return path


def text_of(path: Path) -> str:
    """The file as UTF-8 text, with or without a byte-order mark. Raises NotFound or InvalidInput."""
    try:
        return existing(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text; convert it to UTF-8.") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}).") from error
