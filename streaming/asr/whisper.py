"""Whisper on CTranslate2, in windows as short as the audio allows, behind the Recognizer port.

One ``ctranslate2.models.Whisper`` serves all decoder threads: its ``inter_threads`` workers share one copy of the weights, each
single-threaded, and the GIL is released while they work. N separate models would hold the weights N times for the same speed.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from copilot.domain.errors import ConfigError, EngineError
from copilot.domain.transcript import Hypothesis, Lead, RecognizeRequest, Word
from streaming.asr import gates
from streaming.asr.compact import TokenMap, open_token_map
from streaming.asr.detect import check_whisper
from streaming.asr.devices import place, this_machine
from streaming.asr.lead import cut, fitting, plausible
from streaming.asr.mel import LogMel
from streaming.asr.utterance import SAMPLES_PER_MS
from streaming.asr.window import audio_ms, longer_window_ms, max_length, window_ms
from streaming.asr.word_times import words_of

STYLE_PROMPTS = {"zh": "以下是普通话的句子。"}
"""Previous text that tips the model to simplified, punctuated Mandarin."""
_PROMPT_SIZES = (16, 32, 64, 96, 128)
_MAX_HOTWORD_TOKENS = 64
_DOUBTED = -1.0
"""Mean log-probability of words after a lead under which they are decoded again without it."""
_ECONOMY_BEAMS = (10, 2, 1)
_FULL_WIDTH = {",": "，", "?": "？", "!": "！", ":": "：", ";": "；", " ": "，"}
_PAUSE = re.compile(r"(?<=[\u4e00-\u9fff])(?:[,?!:;]| (?=[\u4e00-\u9fff]))")


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Requests with equal keys may share one decode."""

    window_ms: int
    prompt_tokens: int
    beam_size: int
    lane: str
    language: str
    word_times: bool


@dataclass(slots=True)
class _Item:
    request: RecognizeRequest
    audio: npt.NDArray[np.float32]
    prompt: list[int]
    key: BatchKey
    lead_ms: int = 0
    """How much of ``audio`` was said before the request's own."""
    lead_text: str = ""

    @property
    def audio_ms(self) -> int:
        return len(self.audio) // SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A CTranslate2 model and how its token ids relate to the tokenizer's."""

    model: Any
    tokens: TokenMap


@dataclass(slots=True)
class _Decoded:
    """``tokens`` are the tokenizer's ids."""

    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    text: str


class WhisperRecognizer:
    """Thread-safe: ``workers`` threads may call ``recognize`` at once (pass the same object once per decoder thread).

    ``compact_dir``: the same model with the vocabulary of Mandarin calls (see ``compact``), used for them; English gets the whole one,
    loaded when it is first heard. ``device``: ``cpu``, ``cuda`` or ``auto`` (a GPU if CTranslate2 sees one); ``device_index``: which GPU.
    Several GPUs are several recognisers: within one, CTranslate2 would take the encoder's output through the CPU, not knowing which GPU
    decodes it. ``threads``: workers sharing the weights, single-threaded on a CPU, a stream each on a GPU. ``flash_attention``: only builds
    of CTranslate2 that have it. Raises ConfigError for what this machine or model cannot do, EngineError for a file that cannot be loaded.

    Finals are decoded with the request's beam, looping ones again in a longer window; looping partials are dropped, the next is near.
    """

    def __init__(
        self,
        model_dir: Path,
        device: str = "auto",
        compute_type: str = "auto",
        threads: int = 1,
        *,
        device_index: int = 0,
        flash_attention: bool = False,
        partial_repetition_penalty: float = 1.1,
        model_id: str | None = None,
        compact_dir: Path | None = None,
    ) -> None:
        import ctranslate2
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor
        from faster_whisper.tokenizer import Tokenizer
        from opencc import OpenCC

        check_whisper(model_dir)
        self.placement = place(device, device_index, compute_type, this_machine())
        if flash_attention and self.placement.device == "cpu":
            raise ConfigError("asr.flash_attention is for GPUs; recognition runs on the CPU here: set it to false.")
        self.workers = threads
        self.max_batch = self.placement.max_batch
        self._storage: Any = ctranslate2.StorageView
        self._cpu: Any = ctranslate2.Device.cpu

        def load(directory: Path) -> _Loaded:
            model = ctranslate2.models.Whisper(
                str(directory),
                device=self.placement.device,
                device_index=self.placement.index,
                compute_type=self.placement.compute_type,
                inter_threads=self.workers,
                intra_threads=1,
                flash_attention=flash_attention,
            )
            return _Loaded(model, open_token_map(directory))

        self._load = load
        self._loading = threading.Lock()
        self._model_dirs = {"zh": compact_dir or model_dir, "en": model_dir}
        try:
            self._loaded = {self._model_dirs["zh"]: load(self._model_dirs["zh"])}
            first = self._loaded[self._model_dirs["zh"]].model
            vocabulary = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        except Exception as error:  # both libraries raise plain exceptions for a missing or broken file
            where = self.placement.device
            raise EngineError(f"The recognition model in {model_dir} cannot be loaded on {where} ({error}): pull it again.") from error
        multilingual = compact_dir is not None or first.is_multilingual
        self.languages = ("zh", "en") if multilingual else ("en",)
        self._tokenizers: dict[str, Any] = {
            language: Tokenizer(vocabulary, multilingual, task="transcribe", language=language) for language in ("zh", "en")
        }
        self._mel = LogMel(FeatureExtractor(feature_size=first.n_mels).mel_filters)
        self._to_simplified: Any = OpenCC("t2s").convert
        self._partial_penalty = partial_repetition_penalty
        self._model_id = model_id or f"whisper:{model_dir.name}:{self.placement.compute_type}"
        self._style_tokens = {language: self._tokenizers[language].encode(text) for language, text in STYLE_PROMPTS.items()}

    @property
    def model_id(self) -> str:
        return self._model_id

    def batch_key(self, request: RecognizeRequest) -> BatchKey:
        """What must be equal for requests to be decoded together."""
        return self._key(request, self._prompt(request), sum(len(lead.pcm16) for lead in _leads(request)) // (2 * SAMPLES_PER_MS))

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        """One hypothesis per request, in order. Any mix is accepted; requests with equal ``batch_key`` are decoded together."""
        items = [self._item(request) for request in requests]
        groups: dict[BatchKey, list[int]] = {}
        for index, item in enumerate(items):
            groups.setdefault(item.key, []).append(index)
        results: dict[int, Hypothesis] = {}
        for key, indices in groups.items():
            for index, hypothesis in zip(indices, self._decode_group(key, [items[i] for i in indices]), strict=True):
                results[index] = hypothesis
        return [results[index] for index in range(len(items))]

    def warm_up(self) -> None:
        """Decodes a little silence, so that the first call does not pay for lazy initialisation."""
        request = RecognizeRequest(
            request_id="warm-up", call_id="warm-up", channel="mixed", lane="partial", pcm16=bytes(32_000), language="zh"
        )
        self.recognize([request])

    def encode_ms(self, requests: Sequence[RecognizeRequest]) -> float:
        """How long features and encoder take for windows of equal keys, in ms: what is left of ``recognize`` is decoding."""
        items = [self._item(request) for request in requests]
        began = time.perf_counter()
        self._encode(items, items[0].key.window_ms)
        return (time.perf_counter() - began) * 1000.0

    # ------------------------------------------------------------------ prompts and features

    def _language(self, request: RecognizeRequest) -> str:
        return "en" if request.language.lower().startswith("en") or "zh" not in self.languages else "zh"

    def _prompt(self, request: RecognizeRequest) -> list[int]:
        """Previous text (style prompt, hotwords, what was said before) and the start sequence.

        Its length is cut to a few sizes, because a batch needs equal ones. Previous text is prefilled in parallel, a forced prefix is not.
        """
        language = self._language(request)
        tokenizer = self._tokenizers[language]
        before = list(self._style_tokens.get(language, ()))
        if request.hotwords:
            joined = "、".join(request.hotwords) + "。" if language == "zh" else " " + ", ".join(request.hotwords) + "."
            before = tokenizer.encode(joined)[:_MAX_HOTWORD_TOKENS] + before
        if request.previous_text:
            size = next((size for size in _PROMPT_SIZES if size >= len(before) + 8), _PROMPT_SIZES[-1])
            before += tokenizer.encode(request.previous_text)[-max(0, size - len(before)) :]
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        return [tokenizer.sot_prev, *before, *start] if before else start

    def _key(self, request: RecognizeRequest, prompt: list[int], lead_ms: int) -> BatchKey:
        return BatchKey(
            window_ms=window_ms(lead_ms + audio_ms(request), request.lane, request.economy),
            prompt_tokens=len(prompt),
            beam_size=min(request.beam_size, _ECONOMY_BEAMS[request.economy]),
            lane=request.lane,
            language=self._language(request),
            word_times=request.word_times,
        )

    def _item(self, request: RecognizeRequest) -> _Item:
        prompt = self._prompt(request)
        leads = _leads(request)
        before = b"".join(lead.pcm16 for lead in leads)
        lead_ms = len(before) // (2 * SAMPLES_PER_MS)
        audio = np.frombuffer(before + request.pcm16, dtype="<i2").astype(np.float32) / np.float32(32768.0)
        key = self._key(request, prompt, lead_ms)
        return _Item(request, audio, prompt, key, lead_ms, "".join(lead.text for lead in leads))

    def _for(self, language: str) -> _Loaded:
        directory = self._model_dirs[language]
        found = self._loaded.get(directory)
        if found is None:
            with self._loading:
                found = self._loaded.get(directory)
                if found is None:
                    found = self._loaded[directory] = self._load(directory)
        return found

    def _encode(self, items: Sequence[_Item], window: int) -> Any:
        """Encoder output for audio padded with digital silence to ``window`` ms."""
        mel = np.stack([self._mel(item.audio, window) for item in items])
        return self._for(items[0].key.language).model.encode(self._storage.from_array(mel), to_cpu=False)

    def _simplify(self, text: str) -> str:
        """Simplified characters, full-width marks between them (Whisper writes commas and spaces for pauses)."""
        return _PAUSE.sub(lambda match: _FULL_WIDTH[match[0]], str(self._to_simplified(text)))

    # ------------------------------------------------------------------ decoding

    def _decode_group(self, key: BatchKey, items: Sequence[_Item]) -> list[Hypothesis]:
        try:
            encoded = self._encode(items, key.window_ms)
            penalty = self._partial_penalty if key.lane == "partial" else 1.0
            decoded = self._generate(encoded, items, penalty)
            hypotheses = [self._hypothesis(item, result, key.window_ms) for item, result in zip(items, decoded, strict=True)]
            if key.word_times:
                words = self._align(encoded, items, decoded, key.language)
                hypotheses = [self._with_words(h, w) for h, w in zip(hypotheses, words, strict=True)]
                hypotheses = [self._own(item, h) if item.lead_ms else h for item, h in zip(items, hypotheses, strict=True)]
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"Decoding a window of {key.window_ms} ms failed ({error}): it may be tried again.", retryable=True
            ) from error
        return [
            self._again(item, hypothesis)
            if key.lane == "final" and not item.lead_ms and (hypothesis.rejected == "loop" or gates.doubled(hypothesis.text))
            else hypothesis
            for item, hypothesis in zip(items, hypotheses, strict=True)
        ]

    def _generate(self, encoded: Any, items: Sequence[_Item], penalty: float) -> list[_Decoded]:
        loaded = self._for(items[0].key.language)
        results = loaded.model.generate(
            encoded,
            [loaded.tokens.to_model(item.prompt) for item in items],
            beam_size=items[0].key.beam_size,
            repetition_penalty=penalty,
            max_length=max(max_length(item.audio_ms, len(item.prompt)) for item in items),
            return_scores=True,
            return_no_speech_prob=True,
        )
        decoded = []
        for item, result in zip(items, results, strict=True):
            tokenizer = self._tokenizers[self._language(item.request)]
            if not result.sequences_ids or not result.sequences_ids[0]:  # nothing decoded: the gates call it empty
                decoded.append(_Decoded([], 0.0, result.no_speech_prob, ""))
                continue
            tokens = [token for token in loaded.tokens.from_model(result.sequences_ids[0]) if token < tokenizer.eot]
            # CTranslate2's score is the mean over the tokens; the end token counts too (as in OpenAI's avg_logprob).
            length = len(result.sequences_ids[0])
            average = result.scores[0] * length / (length + 1)
            decoded.append(_Decoded(tokens, average, result.no_speech_prob, tokenizer.decode(tokens).strip()))
        return decoded

    def _hypothesis(self, item: _Item, decoded: _Decoded, window: int) -> Hypothesis:
        language = self._language(item.request)
        # A last character cut in half by the token limit decodes to U+FFFD.
        text = decoded.text.replace("\ufffd", "")
        if language == "zh":
            text = self._simplify(text)
        rejected = gates.rejection(
            text,
            avg_logprob=decoded.avg_logprob,
            no_speech_prob=decoded.no_speech_prob,
            prompt=STYLE_PROMPTS.get(language, ""),
            hotwords=item.request.hotwords,
            partial=item.request.lane == "partial",
        )
        return Hypothesis(
            text="" if rejected else text,
            language=language,
            avg_logprob=decoded.avg_logprob,
            no_speech_prob=decoded.no_speech_prob,
            compression_ratio=gates.compression_ratio(text),
            rejected=rejected,
            window_ms=window,
        )

    def _own(self, item: _Item, whole: Hypothesis) -> Hypothesis:
        """What was said after the lead; decoded without it where that is not clear."""
        boundary = item.lead_ms + item.request.onset_ms // 2
        index = cut(whole.words, boundary, item.lead_text)
        words = tuple(
            replace(word, start_ms=max(0, word.start_ms - item.lead_ms), end_ms=max(0, word.end_ms - item.lead_ms))
            for word in whole.words[index:]
        )
        text = ("" if whole.language == "zh" else " ").join(word.text for word in words).strip()
        doubt = [math.log(max(word.confidence, 1e-4)) for word in words]
        sure = sum(doubt) / max(1, len(doubt))
        refused = whole.rejected or gates.rejection(
            text,
            avg_logprob=sure,
            no_speech_prob=whole.no_speech_prob,
            prompt=STYLE_PROMPTS.get(whole.language, ""),
            hotwords=item.request.hotwords,
        )
        if refused or gates.doubled(text) or sure < _DOUBTED or not plausible(text, audio_ms(item.request)):
            return self.recognize([replace(item.request, leads=())])[0]
        return replace(whole, text=text, words=words, avg_logprob=sure, compression_ratio=gates.compression_ratio(text))

    def _again(self, item: _Item, failed: Hypothesis) -> Hypothesis:
        """The failed item alone, in a longer window, with a penalty on repetition and nothing before it that could be repeated."""
        window = longer_window_ms(failed.window_ms)
        plain = replace(item.request, previous_text="", hotwords=())
        retry = _with_request(item, plain, self._prompt(plain))
        encoded = self._encode([retry], window)
        decoded = self._generate(encoded, [retry], max(1.1, self._partial_penalty))
        hypothesis = self._hypothesis(retry, decoded[0], window)
        if item.request.word_times and not hypothesis.rejected:
            hypothesis = self._with_words(hypothesis, self._align(encoded, [retry], decoded, self._language(plain))[0])
        return hypothesis

    # ------------------------------------------------------------------ word times

    def _align(self, encoded: Any, items: Sequence[_Item], decoded: Sequence[_Decoded], language: str) -> list[list[Word]]:
        """Words by the cross-attention alignment of CTranslate2; spread evenly over the audio where that fails."""
        tokenizer, loaded = self._tokenizers[language], self._for(language)
        start = loaded.tokens.to_model(tokenizer.sot_sequence)
        texts = [loaded.tokens.to_model(result.tokens) for result in decoded]
        frames = [max(2, min(item.audio_ms // 10, item.key.window_ms // 10)) for item in items]
        results: list[Any] = [None] * len(items)
        filled = [index for index, result in enumerate(decoded) if result.tokens]
        try:
            if len(filled) == len(items):
                results = loaded.model.align(encoded, start, texts, frames)
            elif filled:
                whole = np.array(encoded.to_device(self._cpu))
                for index in filled:
                    one = self._storage.from_array(np.ascontiguousarray(whole[index : index + 1]))
                    results[index] = loaded.model.align(one, start, [texts[index]], [frames[index]])[0]
        except (RuntimeError, ValueError):
            results = [None] * len(items)
        return [
            words_of(tokenizer, result.tokens, aligned, item.audio_ms, float(np.exp(min(0.0, result.avg_logprob))))
            for item, result, aligned in zip(items, decoded, results, strict=True)
        ]

    def _with_words(self, hypothesis: Hypothesis, words: list[Word]) -> Hypothesis:
        if hypothesis.rejected or not words:
            return hypothesis
        separator = "" if hypothesis.language == "zh" else " "
        if hypothesis.language == "zh":
            joined = "".join(word.text for word in words)
            simplified = self._simplify(joined)
            if len(simplified) == len(joined):
                position, renamed = 0, []
                for word in words:
                    renamed.append(replace(word, text=simplified[position : position + len(word.text)]))
                    position += len(word.text)
            else:
                renamed = [replace(word, text=self._simplify(word.text)) for word in words]
            words = renamed
        return replace(hypothesis, words=tuple(words), text=separator.join(word.text for word in words))


def _leads(request: RecognizeRequest) -> tuple[Lead, ...]:
    """What is decoded before the request's own audio: it is cut off again by word times, so only where they are asked for."""
    return fitting(request.leads, audio_ms(request), request.economy) if request.lane == "final" and request.word_times else ()


def _with_request(item: _Item, request: RecognizeRequest, prompt: list[int]) -> _Item:
    return _Item(request=request, audio=item.audio, prompt=prompt, key=item.key)
