"""OCR with RapidOCR (PaddleOCR's models on onnxruntime), which ships its models in its package. The extra ``ocr``."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kb.reading.port import ReadLine

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def ocr_installed() -> bool:
    """True if the extra is there."""
    return find_spec("rapidocr") is not None


class RapidOcr:
    """``kb.reading.port.Ocr``. Loading takes a second or two; not thread-safe. ``threads``: cores for one page."""

    def __init__(self, threads: int = 1) -> None:
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.WARNING)
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "warning",
                "Global.use_cls": False,  # pages are upright: the viewer's rotation is applied when they are rendered
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def lines(self, image: npt.NDArray[np.uint8]) -> list[ReadLine]:
        found = self._engine(image[:, :, ::-1])  # it expects BGR
        if found.boxes is None:
            return []
        return [
            ReadLine(
                text=str(text),
                x0=float(box[:, 0].min()),
                x1=float(box[:, 0].max()),
                top=float(box[:, 1].min()),
                bottom=float(box[:, 1].max()),
                confidence=float(score),
            )
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        ]
