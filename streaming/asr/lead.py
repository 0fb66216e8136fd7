"""Earlier speech of the channel, decoded again before an utterance so that the decoder knows the voice and the matter. PURE.

Callers pause at commas, and a piece of two seconds alone is hard for Whisper, which was trained on half minutes. With the channel's earlier
speech in the same window (tried with up to 19 s in all) it made a fifth fewer errors on rendered calls; the text before as a prompt made
fewer too, but not so many (docs/explanation/recognition-tuning.md).
What the decoder makes of the lead is thrown away: its text is published already. The cut is where the alignment puts the beginning of the
new speech, moved by a few words where the text before it then ends as the published one does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from copilot.domain.transcript import Lead, Word
from streaming.asr.gates import letters
from streaming.asr.utterance import SAMPLES_PER_MS

MARGIN_MS = 300
"""Kept around a piece of speech."""
SEAM_MS = 100
"""Silence between pieces that do not touch."""
TOTAL_MS = (16_000, 11_000, 0)
"""Lead and utterance together, by ``RecognizeRequest.economy``."""
_LEAST_RATE = 1.5
"""Letters a second of speech, under which a cut text is not believed; slow speakers reach 2.5."""
_AROUND_MS = 1_050
"""Margins of a final's audio that hold no speech."""
_REACH = 4
_REACH_MS = 350
"""How far the alignment is off at most: what lies clearly before the boundary is of the lead, whatever was published of it."""
_COMPARED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A published utterance. ``pcm16``: samples [start, end) of the channel's media clock at 16 kHz, margins included."""

    start: int
    end: int
    pcm16: bytes
    text: str


@dataclass(slots=True)
class Past:
    """The last ``keep_ms`` of published speech of a channel; nothing when that is 0."""

    keep_ms: int
    _spoken: deque[Spoken] = field(default_factory=deque)
    _samples: int = 0

    def add(self, spoken: Spoken) -> None:
        """Utterances come in media order."""
        self._spoken.append(spoken)
        self._samples += spoken.end - spoken.start
        while self._spoken and self._samples > self.keep_ms * SAMPLES_PER_MS:
            gone = self._spoken.popleft()
            self._samples -= gone.end - gone.start

    def before(self, start: int) -> tuple[Lead, ...]:
        """What was said before the audio from ``start`` (samples), oldest first; overlap with that audio is cut off."""
        leads: list[Lead] = []
        following = start
        for spoken in reversed(self._spoken):
            end = min(spoken.end, following)
            if end <= spoken.start:
                continue
            pcm16 = spoken.pcm16[: 2 * (end - spoken.start)]
            seam = b"" if end == following else bytes(2 * SEAM_MS * SAMPLES_PER_MS)
            leads.append(Lead(pcm16=pcm16 + seam, text=spoken.text))
            following = spoken.start
        return tuple(reversed(leads))


def fitting(leads: Sequence[Lead], audio_ms: int, economy: int) -> tuple[Lead, ...]:
    """The latest leads for which there is room beside an utterance of ``audio_ms``; none where the decode has to save."""
    room = (TOTAL_MS[economy] - audio_ms) * SAMPLES_PER_MS * 2
    taken: list[Lead] = []
    for lead in reversed(leads):
        room -= len(lead.pcm16)
        if room < 0:
            break
        taken.append(lead)
    return tuple(reversed(taken))


def cut(words: Sequence[Word], boundary_ms: int, before: str) -> int:
    """Index of the first word that is not of the lead, whose published text is ``before``."""
    middles = [(word.start_ms + word.end_ms) / 2 for word in words]
    by_time = next((index for index, middle in enumerate(middles) if middle >= boundary_ms), len(words))
    least = next((index for index, middle in enumerate(middles) if middle >= boundary_ms - _REACH_MS), len(words))
    most = next((index for index, middle in enumerate(middles) if middle >= boundary_ms + _REACH_MS), len(words))
    known = letters(before)[-_COMPARED:]

    def cost(index: int) -> float:
        said = letters("".join(word.text for word in words[:index]))[-_COMPARED:]
        ends = index == 0 or not words[index - 1].text[-1:].isalnum()
        return _distance(said, known) + 0.5 * abs(index - by_time) + (0.0 if ends else 0.7)

    return min(range(max(least, by_time - _REACH), min(most, by_time + _REACH) + 1), key=cost)


def plausible(text: str, audio_ms: int) -> bool:
    """False when so little was made of so much speech that the decoder must have stopped, or the cut be wrong."""
    return len(letters(text)) >= max(1.0, _LEAST_RATE * (audio_ms - _AROUND_MS) / 1000)


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]
