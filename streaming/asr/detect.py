"""Which engine a model directory is for, told by its files alone; nothing heavy is imported or loaded.

CTranslate2 Whisper: ``model.bin`` beside ``config.json``. sherpa-onnx: ``tokens.txt`` beside an ONNX file whose metadata say what it is.
The native libraries end the process, or start without a word, when a file is not what they expect; so what they need is checked here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from copilot.domain.errors import ConfigError

Engine = Literal["whisper", "sherpa"]
SherpaFamily = Literal["sense_voice", "paraformer"]

_MODEL_PROTO_METADATA = 14
_LENGTH_DELIMITED = 2
_COMMON = ("vocab_size", "lfr_window_size", "lfr_window_shift", "neg_mean", "inv_stddev")
_SENSE_VOICE = ("normalize_samples", "with_itn", "without_itn", *(f"lang_{name}" for name in ("auto", "zh", "en", "ja", "ko", "yue")))


@dataclass(frozen=True, slots=True, kw_only=True)
class SherpaModel:
    """An ONNX model for sherpa-onnx with its token table."""

    family: SherpaFamily
    model: Path
    tokens: Path


def engine_of(directory: Path) -> Engine:
    """The engine for the files of a directory. Raises ConfigError that says what to do with files of another form."""
    if (directory / "model.bin").is_file():
        return "whisper"
    if (directory / "tokens.txt").is_file() and _onnx_files(directory):
        return "sherpa"
    if any((directory / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")):
        raise ConfigError(
            f"{directory} holds a model for transformers: convert it with ct2-transformers-converter --model {directory} --output_dir DIR "
            "--copy_files tokenizer.json preprocessor_config.json --quantization float16, and give that DIR."
        )
    raise ConfigError(
        f"{directory} holds no recognition model: a CTranslate2 Whisper is model.bin, config.json and tokenizer.json; "
        "a model for sherpa-onnx is one model.onnx (or model.int8.onnx) and tokens.txt."
    )


def check_whisper(directory: Path) -> None:
    """Raises ConfigError when a converted Whisper lacks a file, or its tokenizer numbers the special tokens otherwise than the model.

    large-v3 has one language more than the earlier models: with the wrong tokenizer every special token is off by one.
    """
    for name in ("config.json", "model.bin"):
        if not (directory / name).is_file():
            raise ConfigError(f"The Whisper in {directory} has no {name}: copy or convert the whole model again.")
    tokenizer = directory / "tokenizer.json"
    if not tokenizer.is_file():
        raise ConfigError(
            f"The Whisper in {directory} has no tokenizer.json: copy it from the model it was converted from "
            "(ct2-transformers-converter --copy_files tokenizer.json does)."
        )
    try:
        wanted = {token["content"]: token["id"] for token in json.loads(tokenizer.read_text(encoding="utf-8"))["added_tokens"]}
        number, vocabulary = int(wanted["<|notimestamps|>"]), _vocabulary(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"The tokenizer of the Whisper in {directory} cannot be read ({error}): copy the whole model again.") from error
    if vocabulary and (len(vocabulary) <= number or vocabulary[number] != "<|notimestamps|>"):
        raise ConfigError(f"tokenizer.json in {directory} is of another Whisper than model.bin: copy it from the model that was converted.")


def sherpa_model(directory: Path) -> SherpaModel:
    """The model of a directory, int8 before float. Raises ConfigError when the file lacks what sherpa-onnx would end the process for."""
    tokens, files = directory / "tokens.txt", _onnx_files(directory)
    if not tokens.is_file() or not files:
        raise ConfigError(f"{directory} is no model for sherpa-onnx: it needs model.onnx or model.int8.onnx, and tokens.txt.")
    if len(files) > 1 and not any(path.name in ("model.int8.onnx", "model.onnx") for path in files):
        raise ConfigError(
            f"{directory} holds {len(files)} ONNX files: only models of a single file (SenseVoice, Paraformer) can be used; "
            "transducers and other families of sherpa-onnx cannot yet."
        )
    model = next((path for name in ("model.int8.onnx", "model.onnx") for path in files if path.name == name), files[0])
    found = onnx_metadata(model)
    family: SherpaFamily = "sense_voice" if "with_itn" in found else "paraformer"
    missing = [key for key in (*_COMMON, *(_SENSE_VOICE if family == "sense_voice" else ())) if key not in found]
    if missing:
        raise ConfigError(
            f"{model} is neither a SenseVoice nor a Paraformer exported for sherpa-onnx (its metadata lack {', '.join(missing)}): "
            "take an export from the sherpa-onnx releases."
        )
    lines = sum(1 for line in tokens.read_text(encoding="utf-8").splitlines() if line.strip())
    if lines != int(found["vocab_size"]):
        raise ConfigError(f"{tokens} lists {lines} tokens, {model.name} has {found['vocab_size']}: the two are of different models.")
    return SherpaModel(family=family, model=model, tokens=tokens)


def onnx_metadata(path: Path) -> dict[str, str]:
    """``metadata_props`` of an ONNX file; the graph is skipped unread. Raises ConfigError when the file is no ONNX model.

    onnx.proto3, message ModelProto: field 14 is a repeated StringStringEntryProto (1: key, 2: value).
    """
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            for number, size in _fields(file, path.stat().st_size):
                if number == _MODEL_PROTO_METADATA:
                    key, value = _entry(file.read(size))
                    found[key] = value
                else:
                    file.seek(size, 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not an ONNX model ({error}): copy it again.") from error
    return found


def _onnx_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.onnx"))


def _vocabulary(directory: Path) -> list[str]:
    """Token texts by number, as CTranslate2 keeps them; empty if the model has no vocabulary file of its own."""
    if (directory / "vocabulary.json").is_file():
        return [str(token) for token in json.loads((directory / "vocabulary.json").read_text(encoding="utf-8"))]
    if (directory / "vocabulary.txt").is_file():
        return (directory / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    return []


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """(field number, bytes that follow) of a protobuf message; other wire types than length-delimited are read over."""
    while file.tell() < end:
        tag = _varint(file)
        number, wire = tag >> 3, tag & 7
        if wire == _LENGTH_DELIMITED:
            size = _varint(file)
            if number == 0 or file.tell() + size > end:
                raise ValueError("a field reaches past its end")
            yield number, size
        elif wire == 0:
            _varint(file)
        elif wire in (1, 5):
            file.seek(8 if wire == 1 else 4, 1)
        else:
            raise ValueError(f"unknown wire type {wire}")


def _entry(data: bytes) -> tuple[str, str]:
    file, parts = io.BytesIO(data), {1: "", 2: ""}
    for number, size in _fields(file, len(data)):
        parts[number] = file.read(size).decode("utf-8")
    return parts[1], parts[2]


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise ValueError("it ends in the middle")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
