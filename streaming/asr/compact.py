"""A Whisper with the output vocabulary of Mandarin calls: the same weights, fewer rows in the token table.

Whisper writes a hundred languages with some 50,000 tokens, and every decoding step ends in a product with all of them: on a CPU that is
more than half of the bytes a step has to read. A Mandarin call needs the Chinese tokens, the byte pieces that rarer characters are made of,
marks, digits and common Latin ones (product names): about 14,000. The rest is cut out of the table; nothing else of the model changes, and
what is left keeps its order. A model cut so cannot drift into Korean, Russian or Japanese kana either.

The cut model is made once and kept beside the models. File format: CTranslate2's ``Model.save`` (binary version 6), where the table is
``decoder/embeddings`` and ``decoder/projection``, one row per token.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from copilot.domain.errors import EngineError

FORMAT: Final = 2
"""Raised when another choice of tokens makes kept models stale."""
LATIN_RANKS: Final = 14_000
"""ASCII tokens up to this merge rank stay; rarer words are spelled with shorter ones."""
TOKENS_FILE: Final = "tokens.json"
_BINARY_VERSION: Final = 6
_TABLES: Final = ("decoder/embeddings/", "decoder/projection/")
_ID_LISTS: Final = ("suppress_ids", "suppress_ids_begin", "lang_ids")
_RANGES: Final = ((0x2010, 0x2040), (0x3000, 0x3040), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xFF00, 0xFFF0), (0xB7, 0xB8))
"""General and CJK punctuation, Han, full-width forms and ·."""


def byte_alphabet() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level BPE vocabulary (GPT-2's ``bytes_to_unicode``, inverted)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {chr(byte): byte for byte in plain}
    alphabet.update({chr(256 + n): byte for n, byte in enumerate(byte for byte in range(256) if byte not in plain)})
    return alphabet


def chosen_tokens(vocabulary: Mapping[str, int]) -> list[int]:
    """The ids of a byte-level BPE vocabulary that Mandarin needs, ascending; without the special tokens, which are no byte strings."""
    alphabet = byte_alphabet()
    chosen = []
    for token, index in vocabulary.items():
        try:
            data = bytes(alphabet[character] for character in token)
        except KeyError:
            continue
        if _wanted(data, index):
            chosen.append(index)
    return sorted(chosen)


def _wanted(data: bytes, index: int) -> bool:
    if all(byte < 0x80 for byte in data):
        # Numbers and marks are never rare: an amount must come out as it would from the whole table.
        return index < LATIN_RANKS or len(data) == 1 or not any(chr(byte).isalpha() for byte in data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return True  # a piece of a character: Chinese ones are made of them
    return any(low <= ord(character) < high for character in text for low, high in _RANGES) and not any(
        "\u3040" <= character <= "\u30ff" for character in text
    )


class TokenMap:
    """Between the tokenizer's ids and the rows of a table. ``rows``: the tokenizer id of each row, ascending; None: the same ids."""

    def __init__(self, rows: Sequence[int] | None = None, pieces: Mapping[int, tuple[int, ...]] | None = None) -> None:
        self._rows: npt.NDArray[np.int64] | None = None if rows is None else np.asarray(rows, dtype=np.int64)
        self._index = {} if rows is None else {int(token): row for row, token in enumerate(rows)}
        self._pieces = pieces or {}

    def to_model(self, tokens: Sequence[int]) -> list[int]:
        """Rows of tokens; one that was cut is spelled with the single bytes it is made of."""
        if self._rows is None:
            return list(tokens)
        rows: list[int] = []
        for token in tokens:
            if token in self._index:
                rows.append(self._index[token])
            else:
                rows += [self._index[piece] for piece in self._pieces.get(token, ()) if piece in self._index]
        return rows

    def from_model(self, rows: Sequence[int]) -> list[int]:
        return list(rows) if self._rows is None else [int(self._rows[row]) for row in rows]


def open_token_map(directory: Path) -> TokenMap:
    """The map of a model directory: identity unless it is a compact one."""
    path = directory / TOKENS_FILE
    if not path.is_file():
        return TokenMap()
    rows = json.loads(path.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = _tokenizer_vocabulary(directory)
    alphabet = byte_alphabet()
    single = {alphabet[token]: index for token, index in vocabulary.items() if len(token) == 1 and token in alphabet}
    kept = set(rows)
    pieces = {
        index: tuple(single[alphabet[character]] for character in token)
        for token, index in vocabulary.items()
        if index not in kept and all(character in alphabet for character in token)
    }
    return TokenMap(rows, pieces)


def compact_model(source: Path, cache: Path) -> Path:
    """The compact form of the CTranslate2 Whisper in ``source``, made in ``cache`` if it is not there yet.

    Raises EngineError for a directory that is no multilingual Whisper in CTranslate2's format; the caller uses ``source`` as it is.
    """
    model = source / "model.bin"
    try:
        stat = model.stat()
        identity = f"{FORMAT}:{LATIN_RANKS}:{source.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
        target = cache / f"{source.name}-zh-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        if (target / TOKENS_FILE).is_file():
            return target
        cache.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
        try:
            _write(source, making)
            making.replace(target)
        except OSError:
            if not (target / TOKENS_FILE).is_file():  # another process may have been faster
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise EngineError(f"A compact form of the model in {source} cannot be made ({error}): its whole vocabulary is used.") from error
    return target


def _tokenizer_vocabulary(directory: Path) -> dict[str, int]:
    vocabulary: dict[str, int] = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return vocabulary


def _model_vocabulary(directory: Path) -> tuple[str, list[str]]:
    for name in ("vocabulary.json", "vocabulary.txt"):
        path = directory / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            tokens: list[str] = json.loads(text) if name.endswith(".json") else text.removesuffix("\n").split("\n")
            return name, tokens
    raise ValueError("it has no vocabulary file")


def _write(source: Path, target: Path) -> None:
    name, tokens = _model_vocabulary(source)
    table = {token: index for index, token in enumerate(tokens)}
    special = table["<|endoftext|>"], table["<|notimestamps|>"]
    if "<|zh|>" not in table:
        raise ValueError("it understands English only")
    # The timestamps after <|notimestamps|> go too: live windows are decoded without.
    rows = np.asarray(sorted({*chosen_tokens(_tokenizer_vocabulary(source)), *range(special[0], special[1] + 1)}), dtype=np.int64)
    with (source / "model.bin").open("rb") as reading, (target / "model.bin").open("wb") as writing:
        _cut(reading, writing, len(tokens), rows)
    kept = [tokens[row] for row in rows]
    text = json.dumps(kept, ensure_ascii=False) if name.endswith(".json") else "\n".join(kept) + "\n"
    (target / name).write_text(text, encoding="utf-8")
    new_id = {int(row): index for index, row in enumerate(rows)}
    config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    for key in _ID_LISTS:
        if key in config:
            config[key] = [new_id[index] for index in config[key] if index in new_id]
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for extra in ("tokenizer.json", "preprocessor_config.json"):
        if (source / extra).is_file():
            shutil.copyfile(source / extra, target / extra)
    (target / TOKENS_FILE).write_text(json.dumps([int(row) for row in rows]), encoding="utf-8")


def _cut(reading: BinaryIO, writing: BinaryIO, tokens: int, rows: npt.NDArray[np.int64]) -> None:
    """Copies a model file, keeping only ``rows`` of the variables that have one row per token."""
    header = reading.read(4)
    if struct.unpack("<I", header)[0] != _BINARY_VERSION:
        raise ValueError("its binary version is not 6")
    writing.write(header)
    spec = _string(reading)
    if spec.rstrip(b"\0") != b"WhisperSpec":
        raise ValueError("it is no Whisper")
    _put_string(writing, spec)
    writing.write(reading.read(4))
    counted = reading.read(4)
    writing.write(counted)
    found = 0
    for _ in range(struct.unpack("<I", counted)[0]):
        name = _string(reading)
        dims = list(_numbers(reading, struct.unpack("<B", reading.read(1))[0]))
        kind = reading.read(1)
        data = reading.read(struct.unpack("<I", reading.read(4))[0])
        if name.decode().startswith(_TABLES) and dims and dims[0] == tokens:
            data = np.ascontiguousarray(np.frombuffer(data, dtype=np.uint8).reshape(tokens, -1)[rows]).tobytes()
            dims[0] = len(rows)
            found += 1
        _put_string(writing, name)
        writing.write(struct.pack("<B", len(dims)) + struct.pack(f"<{len(dims)}I", *dims) + kind + struct.pack("<I", len(data)) + data)
    if not found:
        raise ValueError("it has no table with a row per token")
    shutil.copyfileobj(reading, writing)


def _string(file: BinaryIO) -> bytes:
    return file.read(struct.unpack("<H", file.read(2))[0])


def _put_string(file: BinaryIO, value: bytes) -> None:
    file.write(struct.pack("<H", len(value)) + value)


def _numbers(file: BinaryIO, count: int) -> Iterator[int]:
    yield from struct.unpack(f"<{count}I", file.read(4 * count))
