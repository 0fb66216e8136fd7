"""What a decode must pass before it counts as speech. PURE."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

Rejection = Literal["empty", "no_speech", "blocklist", "prompt_echo", "loop"]

MAX_COMPRESSION_RATIO = 2.4
DOUBTFUL_NO_SPEECH = 0.15
DOUBTFUL_LOGPROB = -0.7
"""Speech over a telephone keeps the no-speech token under 0.15 even where the words are wrong, but for answers of one syllable (a clear 好:
0.23 at −0.51); over a singer of syllables it is mostly above, and the words are poor. Both together refuse."""
DOUBTFUL_PARTIAL_LOGPROB = -1.0
"""The same for partials: their windows hold little speech, which the no-speech token takes for none. Down to here the first 400 ms of an
utterance read as well as those with a low no-speech token (85% of them begin rightly), and what was wrong is replaced or withdrawn."""
HOPELESS_LOGPROB = -1.4
"""Below this mean log-probability the text is a guess whatever the no-speech token says."""
DOUBTED_HOTWORD_LOGPROB = -1.0
"""Hotwords alone below this are the decoder's memory, not the caller. Short answers that were heard rightly reach down to −0.96."""
DOUBTED_RECITAL_LOGPROB = -0.5
_PROMPT_PIECE = 6
"""So many letters of the style prompt in a row are never a caller's."""
_PROMPT_LIKENESS = 0.8
"""Nor is a text this close to the whole prompt (2 × matching letters over the letters of both): a decoder half remembers it, too."""

_LOOP = re.compile(r"(.)\1{7,}|(.{2,12}?)\2{3,}|(.{13,40}?)\3{2,}", re.DOTALL)
_DOUBLED = re.compile(r"(.{12,})\1", re.DOTALL)
_MARKS = re.compile(r"[\W_]+")
# Outros of the subtitles Whisper was trained on; it writes them over silence, music and ring-back.
_ANYWHERE = re.compile(
    r"请不吝(点赞|點贊|點讚)|字幕(由|by|志愿者|組|组)|amaraorg|(订阅|訂閱).{0,4}(转发|轉發|打赏|打賞|频道|頻道)|明镜与点点|明鏡與點點|优优独播剧场|優優獨播劇場|yoyotelevision"
    r"|subtitlesby|transcribedby|captionsby"
)
_WHOLE = re.compile(
    r"((谢谢|感谢|多谢)(大家|您|你)?的?(观看|收看|收听|聆听)(本期视频|本视频|本集)?|我们下期(再见|见)|(中文|简体)字幕|请(订阅|关注)(我的|我们的)?频道"
    r"|thank(s|you)(somuch)?forwatching(thevideo|thisvideo)?|please(like|subscribe).{0,40}|(ill)?seeyou(guys)?(in)?(the)?nextvideo|byebye?you)"
)


def compression_ratio(text: str) -> float:
    """UTF-8 length over zlib length (OpenAI's measure); far over 2 means repetition."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def letters(text: str) -> str:
    """``text`` without marks and spaces, case folded."""
    return _MARKS.sub("", text).casefold()


def loops(text: str) -> bool:
    """True if the text repeats itself as a stuck decoder does, not as people do (对对对对 passes)."""
    return _LOOP.search(letters(text)) is not None or compression_ratio(text) > MAX_COMPRESSION_RATIO


def doubled(text: str) -> bool:
    """True if a long phrase comes twice in a row: a decoder's slip, or a caller repeating a number. Worth another decode, not a refusal."""
    return _DOUBLED.search(letters(text)) is not None


def echoes(text: str, prompt: str, hotwords: Sequence[str], avg_logprob: float = 0.0) -> bool:
    """True if the text is only what the decoder was prompted with: the style prompt or pieces of it, a recital of hotwords, or both.

    A single hotword may be an answer, unless the decoder doubts it (``avg_logprob``).
    """
    said = letters(text)
    if not said:
        return False
    asked = letters(prompt)
    if asked and (said in (asked, asked * 2) or (len(said) >= 6 and said in asked) or said.startswith(asked)):
        return True
    if any(asked[at : at + _PROMPT_PIECE] in said for at in range(len(asked) - _PROMPT_PIECE + 1)):
        return True
    if len(asked) >= _PROMPT_PIECE and SequenceMatcher(None, said, asked, autojunk=False).ratio() >= _PROMPT_LIKENESS:
        return True
    words = sorted({letters(word) for word in hotwords} - {""}, key=len, reverse=True)
    if _recites(text, words, doubted=avg_logprob < DOUBTED_RECITAL_LOGPROB):
        return True
    rest, used = said, 0
    for word in words:
        if word in rest:
            rest, used = rest.replace(word, ""), used + 1
    if used and not rest:
        return used >= 3 or avg_logprob < DOUBTED_HOTWORD_LOGPROB
    before = len(rest)
    for at in range(len(asked) - 2):
        rest = rest.replace(asked[at : at + 3], "")
    return len(said) >= 5 and len(rest) < before and len(rest) <= 1


def _recites(text: str, words: Sequence[str], *, doubted: bool) -> bool:
    """True for a list in the form the hotwords were given in (with 、): three or more hotwords or beginnings of them and nothing else.

    Among four or more items scraps of one or two letters count as broken hotwords, if two in three are whole; longer items are somebody's
    own words (手机银行、网上银行、电话银行都可以). Where the decoder doubts it, two items are a list, and any pieces of hotwords count.
    """
    items = [letters(item) for item in text.split("、")]
    items = [item for item in items if item]
    if doubted and len(items) >= 2 and all(len(item) >= 2 and any(item in word for word in words) for item in items):
        return True
    strange = [item for item in items if len(item) < 2 or not any(word.startswith(item) for word in words)]
    if not strange:
        return len(items) >= 3
    return len(items) >= 4 and len(strange) * 3 <= len(items) and all(len(item) <= 2 for item in strange)


def rejection(
    text: str, *, avg_logprob: float, no_speech_prob: float, prompt: str = "", hotwords: Sequence[str] = (), partial: bool = False
) -> Rejection | None:
    """The gate that refuses a decode, or None. Loops come last: the caller may decode again before believing that."""
    doubtful = DOUBTFUL_PARTIAL_LOGPROB if partial else DOUBTFUL_LOGPROB
    said = letters(text)
    if not said:
        return "empty"
    if (no_speech_prob > DOUBTFUL_NO_SPEECH and avg_logprob < doubtful) or avg_logprob < HOPELESS_LOGPROB:
        return "no_speech"
    if _ANYWHERE.search(said) or _WHOLE.fullmatch(said):
        return "blocklist"
    if echoes(text, prompt, hotwords, avg_logprob):
        return "prompt_echo"
    return "loop" if loops(text) else None
