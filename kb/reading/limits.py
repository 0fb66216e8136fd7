"""How much one import may hold, so that no file can take the machine's memory or disk. Every limit has a sentence when it is met."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of reading. The defaults are the product's (docs/how-to/knowledge.md names them)."""

    file_bytes: int = 200 * MIB
    """Of one file."""
    entries: int = 5_000
    """Files of one import, those in archives counted."""
    total_bytes: int = 1024 * MIB
    """Of all that one import unpacks."""
    ratio: int = 200
    """Unpacked bytes per packed byte of an archive or Office file, where it unpacks to more than ``ratio_from`` bytes."""
    ratio_from: int = 8 * MIB
    nesting: int = 2
    """Archives within archives."""
    pages: int = 3_000
    """Of one PDF."""
    page_pixels: int = 25_000_000
    """Of the picture of one page that is read by OCR."""
    rows: int = 50_000
    """Of one workbook or CSV file: each is an article, and all of a file are stored in one transaction, for which live calls wait."""
    columns: int = 256
    characters: int = 20_000_000
    """Of the text of one file."""
