"""The cut vocabulary: which tokens stay, the model file, and the way back to the tokenizer's ids."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.errors import EngineError
from streaming.asr.compact import LATIN_RANKS, TokenMap, byte_alphabet, chosen_tokens, compact_model, open_token_map

CHARACTER = {byte: character for character, byte in byte_alphabet().items()}


def spelled(text):
    return "".join(CHARACTER[byte] for byte in text.encode())


def test_the_alphabet_has_every_byte_once():
    assert sorted(byte_alphabet().values()) == list(range(256))
    assert byte_alphabet()["Ġ"] == ord(" ")


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("信用卡", True),
        ("賬", True),
        ("，", True),
        ("。", True),
        ("…", True),
        (" the", True),
        ("7", True),
        ("привет", False),
        ("안녕", False),
        ("です", False),
        ("é", False),
        ("１", True),
    ],
)
def test_which_tokens_stay(text, stays):
    assert chosen_tokens({spelled(text): 5}) == ([5] if stays else [])


def test_rare_latin_words_go_but_letters_numbers_marks_and_pieces_of_characters_stay():
    piece = CHARACTER["卡".encode()[0]]
    vocabulary = {spelled(" Antwerp"): LATIN_RANKS, "Q": LATIN_RANKS + 1, piece: LATIN_RANKS + 2, "<|zh|>中": 9}
    vocabulary |= {"3000": LATIN_RANKS + 3, spelled(" 2025"): LATIN_RANKS + 4, "...": LATIN_RANKS + 5}
    assert chosen_tokens(vocabulary) == [LATIN_RANKS + n for n in range(1, 6)]


# ------------------------------------------------------------------ a model directory

WORDS = [spelled(text) for text in ("你", "好", "卡", "привет", " card", "안")]
BYTES = [CHARACTER[byte] for byte in range(256)]
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>"]
TIMES = ["<|0.00|>", "<|0.02|>"]


def put(name, dims, kind, data):
    encoded = name.encode() + b"\0"
    return (
        struct.pack("<H", len(encoded))
        + encoded
        + struct.pack("<B", len(dims))
        + struct.pack(f"<{len(dims)}I", *dims)
        + struct.pack("<BI", kind, len(data))
        + data
    )


@pytest.fixture
def model(tmp_path):
    source = tmp_path / "whisper-tiny"
    source.mkdir()
    vocabulary = {token: index for index, token in enumerate([*BYTES, *WORDS])}
    tokens = [*vocabulary, *SPECIAL, *TIMES]
    table = np.arange(len(tokens) * 4, dtype=np.float16).reshape(len(tokens), 4)
    other = np.arange(6, dtype=np.float32).reshape(2, 3)
    spec = b"WhisperSpec\0"
    blob = struct.pack("<I", 6) + struct.pack("<H", len(spec)) + spec + struct.pack("<II", 3, 2)
    blob += put("decoder/embeddings/weight", table.shape, 4, table.tobytes()) + put("encoder/conv1/bias", other.shape, 0, other.tobytes())
    aliases = struct.pack("<I", 0) + b"the rest"
    (source / "model.bin").write_bytes(blob + aliases)
    (source / "vocabulary.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (source / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}), encoding="utf-8")
    eot = tokens.index("<|endoftext|>")
    cyrillic = tokens.index(spelled("привет"))
    config = {"suppress_ids": [0, cyrillic, eot + 5], "suppress_ids_begin": [eot], "lang_ids": [eot + 2], "alignment_heads": [[1, 2]]}
    (source / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return source, tokens, table, other


def variables(path):
    data = path.read_bytes()
    at = 4 + 2 + struct.unpack_from("<H", data, 4)[0] + 4
    count = struct.unpack_from("<I", data, at)[0]
    at += 4
    found = {}
    for _ in range(count):
        size = struct.unpack_from("<H", data, at)[0]
        name = data[at + 2 : at + 1 + size].decode()
        at += 2 + size
        rank = data[at]
        dims = struct.unpack_from(f"<{rank}I", data, at + 1)
        at += 1 + 4 * rank + 1
        length = struct.unpack_from("<I", data, at)[0]
        found[name] = (dims, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found, data[at:]


def test_a_cut_model_keeps_its_rows_order_and_everything_else(model, tmp_path):
    source, tokens, table, other = model
    target = compact_model(source, tmp_path / "derived")
    kept = (target / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    gone = set(tokens) - set(kept)
    assert gone == {spelled("привет"), spelled("안"), *TIMES}
    assert kept == [token for token in tokens if token not in gone]
    found, rest = variables(target / "model.bin")
    dims, data = found["decoder/embeddings/weight"]
    assert dims == (len(kept), 4)
    np.testing.assert_array_equal(np.frombuffer(data, dtype=np.float16).reshape(dims), table[[tokens.index(token) for token in kept]])
    assert found["encoder/conv1/bias"] == (other.shape, other.tobytes())
    assert rest == struct.pack("<I", 0) + b"the rest"
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    assert config["suppress_ids"] == [0]
    assert config["suppress_ids_begin"] == [kept.index("<|endoftext|>")]
    assert config["lang_ids"] == [kept.index("<|zh|>")]
    assert config["alignment_heads"] == [[1, 2]]


def test_it_is_made_once_and_again_for_another_model(model, tmp_path):
    source, *_ = model
    cache = tmp_path / "derived"
    target = compact_model(source, cache)
    stamp = (target / "model.bin").stat().st_mtime_ns
    assert compact_model(source, cache) == target
    assert (target / "model.bin").stat().st_mtime_ns == stamp
    with (source / "model.bin").open("ab") as file:
        file.write(b"more")
    assert compact_model(source, cache) != target
    assert not list(cache.glob(".making-*"))


def test_the_way_to_the_model_and_back(model, tmp_path):
    source, tokens, *_ = model
    map_ = open_token_map(compact_model(source, tmp_path / "derived"))
    kept = [tokens.index(token) for token in (spelled("你"), spelled("卡"), "<|zh|>")]
    assert map_.from_model(map_.to_model(kept)) == kept
    # What was cut is spelled with its bytes.
    spelt = map_.from_model(map_.to_model([tokens.index(spelled("안"))]))
    assert bytes(byte_alphabet()[tokens[index]] for index in spelt).decode() == "안"
    assert map_.to_model([tokens.index("<|0.02|>")]) == []


@given(st.lists(st.integers(0, 60_000)))
def test_a_whole_model_has_the_tokenizers_ids(tokens):
    assert TokenMap().from_model(TokenMap().to_model(tokens)) == tokens


@pytest.mark.parametrize("fault", ["version", "spec", "no table", "English only", "missing"])
def test_what_cannot_be_cut_is_said_and_leaves_nothing_behind(model, tmp_path, fault):
    source, tokens, *_ = model
    path = source / "model.bin"
    data = path.read_bytes()
    if fault == "version":
        path.write_bytes(struct.pack("<I", 5) + data[4:])
    elif fault == "spec":
        path.write_bytes(data.replace(b"WhisperSpec", b"AnotherSpec"))
    elif fault == "no table":
        path.write_bytes(data.replace(b"decoder/embeddings", b"decoder/otherthing"))
    elif fault == "English only":
        (source / "vocabulary.txt").write_text("\n".join(token for token in tokens if token != "<|zh|>") + "\n", encoding="utf-8")
    else:
        path.unlink()
    with pytest.raises(EngineError, match="compact form"):
        compact_model(source, tmp_path / "derived")
    assert not list((tmp_path / "derived").glob("*")) if (tmp_path / "derived").exists() else True
