"""Traditional → simplified characters, for analysis only: what is stored and quoted keeps its characters.

Character by character, with OpenCC's table: both sides of a search are folded alike, so that the rare wrong variant costs nothing.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


def simplified(text: str) -> str:
    """The text with every traditional character that has a simplified one replaced; as long as before."""
    return text.translate(_table())


@lru_cache(maxsize=1)
def _table() -> dict[int, str]:
    lines = (files("opencc") / "dictionary" / "TSCharacters.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if "\t" in line)
    return {ord(pair[0]): pair[1].split(" ")[0] for pair in pairs if len(pair[0]) == 1 and len(pair[1].split(" ")[0]) == 1}
