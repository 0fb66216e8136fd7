"""Bad input to the command line: one sentence on standard error, status 1 (2: wrong usage), no traceback, nothing on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.server_process import ROOT, ServerProcess

pytestmark = pytest.mark.models  # most of these commands look for the model files before they look at their input


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return ServerProcess(data_dir=tmp_path_factory.mktemp("errors")).environment()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are not what they should be."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "text.wav").write_text("this is no sound", encoding="utf-8")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "broken.json").write_text('[{"channel": "agent"', encoding="utf-8")
    (folder / "object.json").write_text("{}", encoding="utf-8")
    (folder / "no-times.json").write_text('[{"channel": "agent", "text": "您好"}]', encoding="utf-8")
    (folder / "channel.json").write_text('[{"channel": "boss", "start_ms": 0, "end_ms": 1, "text": ""}]', encoding="utf-8")
    (folder / "gbk.json").write_bytes('[{"channel": "客户"}]'.encode("gbk"))
    (folder / "queries.jsonl").write_text('{"query": "x"}\n', encoding="utf-8")
    (folder / "empty.jsonl").write_text("\n", encoding="utf-8")
    (folder / "gbk.jsonl").write_bytes('{"query": "客户", "article_id": "x"}'.encode("gbk"))
    (folder / "wrong.toml").write_text("[asr]\nbeam_size = 99\n", encoding="utf-8")
    (folder / "unknown.toml").write_text("[asr]\nbeem_size = 1\n", encoding="utf-8")
    (folder / "broken.toml").write_text("[asr\n", encoding="utf-8")
    (folder / "no-database").write_text("this is no database, though it is long enough to be looked at" * 20, encoding="utf-8")
    for name, text in {
        "broken-yaml/faq/cards.zh.yaml": "domain: cards\nlang: zh\nentries: [",
        "no-answer/faq/cards.zh.yaml": "domain: cards\nlang: zh\nentries:\n  - {id: card-loss, title: 挂失}\n",
        "broken-pack/intents.yaml": "intents: {",
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "nothing").mkdir()
    return folder


def run(environment: dict[str, str], *arguments: str, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "copilot", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**environment, **more}, input=stdin, capture_output=True, check=False, timeout=240)


FAILURES = {
    "missing audio": (["transcribe", "{in}/nothere.wav", "--json"], "nothere.wav"),
    "missing audio behind a good one": (["transcribe", "{in}/text.wav", "{in}/nothere.wav", "--json"], "nothere.wav"),
    "a folder instead of audio": (["transcribe", "{in}", "--json"], "is a folder"),
    "audio that is text": (["transcribe", "{in}/text.wav", "--json"], "is not an audio file"),
    "audio without a byte": (["transcribe", "{in}/empty.wav", "--json"], "is not an audio file"),
    "missing transcript": (["postcall", "run", "--transcript", "{in}/nothere.json"], "nothere.json"),
    "transcript that is no JSON": (["postcall", "run", "--transcript", "{in}/broken.json"], "is not valid JSON"),
    "transcript that is no list": (["postcall", "run", "--transcript", "{in}/object.json"], "must be a JSON list"),
    "transcript without times": (["postcall", "run", "--transcript", "{in}/no-times.json"], "Line 1"),
    "transcript of a third party": (["postcall", "run", "--transcript", "{in}/channel.json"], "channel must be one of"),
    "transcript in another encoding": (["postcall", "run", "--transcript", "{in}/gbk.json"], "UTF-8"),
    "missing bank": (["kb", "import", "{in}/nothere"], "nothere"),
    "bank with broken YAML": (["kb", "import", "{in}/broken-yaml", "--json"], "Nothing was imported"),
    "bank with an entry without answer": (["kb", "import", "{in}/no-answer"], "Nothing was imported"),
    "bank with a broken pack": (["kb", "import", "{in}/broken-pack"], "Nothing was imported"),
    "bank with nothing in it": (["kb", "import", "{in}/nothing"], "Nothing was imported"),
    "missing queries": (["kb", "eval", "--queries", "{in}/nothere.jsonl"], "nothere.jsonl"),
    "queries without label": (["kb", "eval", "--queries", "{in}/queries.jsonl"], "line 1"),
    "missing queries to tune with": (["kb", "tune", "--queries", "{in}/nothere.jsonl"], "nothere.jsonl"),
    "no queries": (["kb", "eval", "--queries", "{in}/empty.jsonl"], "no queries"),
    "queries in another encoding": (["kb", "eval", "--queries", "{in}/gbk.jsonl"], "UTF-8"),
    "unknown model to verify": (["models", "verify", "nothere"], "No model is called 'nothere'"),
    "unknown model to find": (["models", "path", "nothere"], "No model is called 'nothere'"),
    "missing settings": (["--config", "{in}/nothere.toml", "users", "list"], "does not exist"),
    "setting out of range": (["--config", "{in}/wrong.toml", "users", "list"], "asr.beam_size"),
    "unknown setting": (["--config", "{in}/unknown.toml", "users", "list"], "asr.beem_size"),
    "settings that are no TOML": (["--config", "{in}/broken.toml", "users", "list"], "cannot be read"),
    "schemas where nothing can be written": (["schemas", "--out", "{in}/text.wav"], "cannot be written"),
    "no server": (["status", "--url", "http://127.0.0.1:9"], "no server answers"),
    "no URL": (["status", "--url", "http://[::"], "no server answers"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_done_is_said_in_one_sentence(name: str, environment: dict[str, str], inputs: Path) -> None:
    arguments, sentence = FAILURES[name]
    failed(run(environment, *(argument.replace("{in}", str(inputs)) for argument in arguments)), sentence)


def failed(done: subprocess.CompletedProcess[bytes], sentence: str) -> None:
    said = done.stderr.decode("utf-8").splitlines()
    assert done.returncode == 1, said
    assert said[0].startswith("pangting: ")
    assert sentence in said[0]
    assert len(said[0]) < 400
    # A list of faults may follow, nothing else.
    assert all(line.startswith("- ") for line in said[1:]), said
    assert done.stdout == b""


def test_an_unknown_model_is_not_pulled(environment: dict[str, str]) -> None:
    done = run(environment, "models", "pull", "nothere")
    assert (done.returncode, done.stdout) == (1, b"")
    # Progress goes to standard error as well; what went wrong stands last.
    assert done.stderr.decode("utf-8").splitlines()[-1].startswith("pangting: No model is called 'nothere'")


def test_unknown_models_in_the_settings(environment: dict[str, str], inputs: Path) -> None:
    clip = str(ROOT / "tests/data/clips/zh-password.flac")
    failed(run(environment, "transcribe", clip, PANGTING_ASR__MODEL="nothere"), "No model is called 'nothere'")
    failed(run(environment, "kb", "search", "挂失", PANGTING_EMBED__MODEL="nothere"), "'nothere'")
    failed(run(environment, "transcribe", clip, PANGTING_MODELS__DIR=str(inputs / "empty-hub")), "pangting models pull whisper-base")


def test_a_store_that_is_none(environment: dict[str, str], inputs: Path) -> None:
    failed(run(environment, "users", "list", PANGTING_STORE__URL="mysql://x/y"), "store.url")
    failed(run(environment, "users", "list", PANGTING_STORE__URL=f"sqlite:///{inputs}/no-database"), "database")
    failed(run(environment, "kb", "search", "挂失", PANGTING_KB__URL="nothing://"), "kb.url")


def test_a_bad_line_ends_masking_and_is_named(environment: dict[str, str]) -> None:
    done = run(environment, "privacy", "mask", "--json", stdin="你好\n".encode() + "你好\n".encode("gbk"))
    assert done.returncode == 1
    assert done.stderr.decode().startswith("pangting: Line 2 of the input is not UTF-8")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["你好"]


USAGE = [
    ["nothing"],
    ["transcribe"],
    ["transcribe", "x.wav", "--language", "fr"],
    ["transcribe", "x.wav", "--jsn"],
    ["kb"],
    ["kb", "nothing"],
    ["kb", "import"],
    ["kb", "search"],
    ["kb", "search", " "],
    ["kb", "search", "x", "--top-k", "0"],
    ["kb", "search", "x", "--top-k", "many"],
    ["kb", "search", "x", "--language", "fr"],
    ["kb", "eval"],
    ["postcall", "run"],
    ["postcall", "run", "--transcript", "x.json", "--language", "fr"],
    ["privacy", "mask", "--language", "fr"],
    ["models", "pull"],
    ["models", "path"],
    ["users", "invite", "somebody"],
    ["users", "invite", "somebody", "--role", "king"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_said(arguments: list[str], environment: dict[str, str]) -> None:
    done = run(environment, *arguments)
    said = (done.stderr + done.stdout).decode("utf-8")
    assert done.returncode == 2, said
    assert "Traceback" not in said
    assert "Usage: " in said
    if arguments != ["kb"]:
        # Without anything a group shows its help; everything else says what is wrong.
        assert "Error: " in said
