"""Model directories: which engine, and what is wrong with one that cannot be used."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from copilot.domain.errors import ConfigError, CopilotError
from streaming.asr.detect import check_whisper, engine_of, onnx_metadata, sherpa_model
from tests.fakes import tiny_sherpa


def whisper(folder: Path, vocabulary: list[str] | None = None, number: int = 3) -> Path:
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"x")
    (folder / "config.json").write_text("{}")
    added = {"added_tokens": [{"content": "<|notimestamps|>", "id": number}]}
    (folder / "tokenizer.json").write_text(json.dumps(added))
    if vocabulary is not None:
        (folder / "vocabulary.json").write_text(json.dumps(vocabulary))
    return folder


def test_the_files_tell_the_engine(tmp_path):
    assert engine_of(whisper(tmp_path / "w")) == "whisper"
    assert engine_of(tiny_sherpa.sense_voice(tmp_path / "s")) == "sherpa"
    assert engine_of(tiny_sherpa.paraformer(tmp_path / "p")) == "sherpa"


def test_what_must_be_converted_first_says_how(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="ct2-transformers-converter"):
        engine_of(tmp_path)


def test_an_empty_directory_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match="holds no recognition model"):
        engine_of(tmp_path)


def test_a_whisper_without_tokenizer_says_where_it_comes_from(tmp_path):
    (whisper(tmp_path / "w") / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        check_whisper(tmp_path / "w")


def test_the_tokenizer_must_be_of_the_same_whisper(tmp_path):
    check_whisper(whisper(tmp_path / "right", ["a", "b", "c", "<|notimestamps|>"]))
    check_whisper(whisper(tmp_path / "unlisted"))
    with pytest.raises(ConfigError, match="another Whisper"):
        check_whisper(whisper(tmp_path / "v3", ["a", "b", "c", "<|yue|>", "<|notimestamps|>"]))
    with pytest.raises(ConfigError, match="another Whisper"):
        check_whisper(whisper(tmp_path / "short", ["a"]))


def test_a_damaged_tokenizer_is_said(tmp_path):
    (whisper(tmp_path / "w") / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        check_whisper(tmp_path / "w")


def test_sherpa_families_are_told_by_the_metadata(tmp_path):
    assert sherpa_model(tiny_sherpa.sense_voice(tmp_path / "s")).family == "sense_voice"
    found = sherpa_model(tiny_sherpa.paraformer(tmp_path / "p"))
    assert (found.family, found.model.name) == ("paraformer", "model.int8.onnx")


def test_metadata_equal_what_onnx_reads(tmp_path):
    model = tiny_sherpa.sense_voice(tmp_path) / "model.onnx"
    assert onnx_metadata(model) == {entry.key: entry.value for entry in onnx.load(str(model)).metadata_props}


def test_what_would_end_the_process_is_refused_before(tmp_path):
    folder = tiny_sherpa.sense_voice(tmp_path)
    model = onnx.load(str(folder / "model.onnx"))
    kept = [entry for entry in model.metadata_props if entry.key != "neg_mean"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, str(folder / "model.onnx"))
    with pytest.raises(ConfigError, match="neg_mean"):
        sherpa_model(folder)
    # The reason for the check: the library itself ends the process.
    load = "sherpa_onnx.OfflineRecognizer.from_sense_voice(model=sys.argv[1], tokens=sys.argv[2])"
    command = [sys.executable, "-c", f"import sys, sherpa_onnx; {load}", str(folder / "model.onnx"), str(folder / "tokens.txt")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode not in (0, 1)


def test_tokens_of_another_model_are_refused(tmp_path):
    folder = tiny_sherpa.sense_voice(tmp_path)
    with (folder / "tokens.txt").open("a", encoding="utf-8") as file:
        file.write("多 99\n")
    with pytest.raises(ConfigError, match="different models"):
        sherpa_model(folder)


def test_transducers_are_refused_by_name(tmp_path):
    (tmp_path / "tokens.txt").write_text("a 0\n")
    for name in ("encoder.onnx", "decoder.onnx", "joiner.onnx"):
        onnx.save(helper.make_model(helper.make_graph([], "empty", [], [])), str(tmp_path / name))
    with pytest.raises(ConfigError, match="single file"):
        sherpa_model(tmp_path)


@given(data=st.binary(max_size=400))
def test_any_bytes_are_metadata_or_a_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "model.onnx"
    path.write_bytes(data)
    try:
        found = onnx_metadata(path)
    except CopilotError:
        return
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.items())


@given(cut=st.integers(min_value=1, max_value=2_000))
def test_a_cut_file_is_never_taken_for_whole(cut_model, cut):
    data = cut_model.read_bytes()
    short = cut_model.with_name("short.onnx")
    short.write_bytes(data[:-cut])
    with contextlib.suppress(ConfigError):
        assert onnx_metadata(short) != onnx_metadata(cut_model)


@pytest.fixture(scope="module")
def cut_model(tmp_path_factory) -> Path:
    return tiny_sherpa.sense_voice(tmp_path_factory.mktemp("cut")) / "model.onnx"
