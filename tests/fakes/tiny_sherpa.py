"""The smallest models that sherpa-onnx takes for a SenseVoice and a Paraformer: one linear layer that knows eight pitches.

A character is 240 ms of a sine of its own; the layer weighs the mel bands near each pitch. So the real library loads a real ONNX file,
computes its own features and decodes, and what comes out can be foretold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHARACTER_MS = 240
PITCHES_HZ = {"信": 300, "用": 500, "卡": 760, "挂": 1100, "失": 1550, "後": 2150, "▁loan": 2950, "▁card": 4000}
"""後 is the traditional form of 后: an engine must simplify it."""
_MELS, _STACK = 80, 7
_SPECIAL = ["<|zh|>", "<|en|>", "<|nospeech|>", "<|NEUTRAL|>", "<|Speech|>", "<|withitn|>"]


def sung(text: list[str]) -> bytes:
    """The tokens as 16 kHz s16le, with 60 ms of silence after each so that a repeated one is heard twice."""
    parts = []
    for token in text:
        time = np.arange((CHARACTER_MS - 60) * 16) / 16_000
        parts += [0.4 * np.sin(2 * np.pi * PITCHES_HZ[token] * time), np.zeros(60 * 16)]
    return (np.concatenate(parts) * 32767).astype("<i2").tobytes()


def sense_voice(folder: Path) -> Path:
    """Writes model.onnx and tokens.txt: [N, T, 560] features → [N, T + 4, V] logits, as the exported SenseVoice has them."""
    tokens = ["<blank>", *PITCHES_HZ, *_SPECIAL]
    size = len(tokens)
    weights, bias = _layer(size, scale=1.0)
    head = np.full((2, 4, size), -50.0, dtype=np.float32)
    for row, language in enumerate(("<|zh|>", "<|nospeech|>")):
        for position, token in enumerate((language, "<|NEUTRAL|>", "<|Speech|>", "<|withitn|>")):
            head[row, position, tokens.index(token)] = 0.0
    constants = {
        "weights": weights,
        "bias": bias,
        "speech_head": head[0][None],
        "silent_head": head[1][None],
        "quiet": np.array(_QUIET, dtype=np.float32),
        "axes": np.array([1, 2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["frames"]),
        helper.make_node("ReduceMax", ["x", "axes"], ["loudest"], keepdims=1),
        helper.make_node("Less", ["loudest", "quiet"], ["silent"]),
        helper.make_node("Where", ["silent", "silent_head", "speech_head"], ["head"]),
        helper.make_node("Concat", ["head", "frames"], ["logits"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", _MELS * _STACK]),
        *(helper.make_tensor_value_info(name, TensorProto.INT32, ["N"]) for name in ("x_length", "language", "text_norm")),
    ]
    meta = {
        "model_type": "sense_voice_ctc",
        "comment": "a test",
        "vocab_size": size,
        "normalize_samples": 1,
        "with_itn": 14,
        "without_itn": 15,
        "lang_auto": 0,
        "lang_zh": 3,
        "lang_en": 4,
        "lang_yue": 7,
        "lang_ja": 11,
        "lang_ko": 12,
    }
    _write(folder, nodes, inputs, [("logits", ["N", "M", size])], constants, meta, tokens)
    return folder


def paraformer(folder: Path) -> Path:
    """Writes model.int8.onnx and tokens.txt: every fourth frame of 60 ms is a token; quiet ones end the sentence."""
    names = [name.replace("▁loan", "lo@@").replace("▁card", "an") for name in PITCHES_HZ]
    tokens = ["<blank>", *names, "<s>", "</s>", "<unk>"]
    size = len(tokens)
    weights, bias = _layer(size, scale=1.0, silence=tokens.index("</s>"), offset=2 * np.log(32768.0))
    constants = {
        "weights": weights,
        "bias": bias,
        "starts": np.array([1], dtype=np.int64),
        "ends": np.array([10_000], dtype=np.int64),
        "axis": np.array([1], dtype=np.int64),
        "steps": np.array([CHARACTER_MS // 60], dtype=np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["speech", "weights"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["frames"]),
        helper.make_node("Slice", ["frames", "starts", "ends", "axis", "steps"], ["logits"]),
        helper.make_node("Identity", ["speech_lengths"], ["token_num"]),
    ]
    inputs = [
        helper.make_tensor_value_info("speech", TensorProto.FLOAT, ["N", "T", _MELS * _STACK]),
        helper.make_tensor_value_info("speech_lengths", TensorProto.INT32, ["N"]),
    ]
    meta = {"model_type": "paraformer", "vocab_size": size}
    outputs = [("logits", ["N", "K", size]), ("token_num", ["N"])]
    _write(folder, nodes, inputs, outputs, constants, meta, tokens, name="model.int8.onnx")
    return folder


_QUIET = -8.0
"""Log mel energy (of samples in −1…1) below which a frame holds no tone."""


def _layer(size: int, *, scale: float, silence: int = 0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Weights [560, V] and bias [V]: a token scores the mean log energy of three bands round its pitch, silence a constant."""
    weights, bias = np.zeros((_MELS * _STACK, size), dtype=np.float32), np.full(size, -100.0, dtype=np.float32)
    middle = _MELS * (_STACK // 2)
    for index, pitch in enumerate(PITCHES_HZ.values(), 1):
        band = _band(pitch)
        weights[middle + band - 1 : middle + band + 2, index] = scale / 3
        bias[index] = 0.0
    bias[silence] = _QUIET / 2 + offset
    return weights, bias


def _band(hertz: float) -> int:
    """The mel band of 80 between 20 and 8000 Hz with its centre nearest to a pitch (Kaldi's mel scale)."""
    mel = lambda f: 1127.0 * np.log(1.0 + f / 700.0)  # noqa: E731
    step = (mel(8000.0) - mel(20.0)) / (_MELS + 1)
    return int(np.clip(round((mel(hertz) - mel(20.0)) / step) - 1, 1, _MELS - 2))


def _write(folder: Path, nodes, inputs, outputs, constants, meta, tokens, *, name: str = "model.onnx") -> None:
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [
            helper.make_tensor_value_info(key, TensorProto.INT32 if key == "token_num" else TensorProto.FLOAT, shape)
            for key, shape in outputs
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    width = _MELS * _STACK
    common = {"lfr_window_size": _STACK, "lfr_window_shift": 6, "neg_mean": ",".join(["0"] * width), "inv_stddev": ",".join(["1"] * width)}
    for key, value in (meta | common).items():
        model.metadata_props.add(key=key, value=str(value))
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / name))
    (folder / "tokens.txt").write_text("".join(f"{token} {index}\n" for index, token in enumerate(tokens)), encoding="utf-8")
