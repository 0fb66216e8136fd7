"""Any OpenAI-compatible server (vLLM, SGLang, Ollama, llama.cpp …) as reply writer and as text model.

The ``openai`` library is imported when a server is configured. A request has one deadline for everything; failures open a circuit
budgeted. What the model may see is data in a delimited block; what it wrote is checked before it is given on.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot.domain.artifacts import Turn
from copilot.domain.errors import EngineError, Refused
from copilot.domain.knowledge import Hit
from copilot.domain.ports.llm import ReplyPiece, ReplyRequest, ReplyWriter, TextModel
from copilot.llm.guard import ReplyGuard
from copilot.llm.instructions import without_instructions
from copilot.llm.library import data_block, prompt
from copilot.llm.resilience import CircuitBreaker, RetryBudget

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_STYLES = {
    "zh": {"professional": "用词专业严谨", "standard": "用词规范亲切", "plain": "用通俗易懂的口语"},
    "en": {"professional": "in precise professional words", "standard": "politely and clearly", "plain": "in plain everyday words"},
}
_REPLY_TOKENS, _JSON_TOKENS = 300, 2000
_RECENT_TURNS = 8
_ATTEMPTS = 2
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmConfig:
    """``base_url`` ends in ``/v1``. ``timeout_s`` bounds a reply during a call, ``after_call_timeout_s`` an answer of after-call work."""

    base_url: str
    model: str
    api_key: str = ""
    timeout_s: float = 8.0
    after_call_timeout_s: float = 40.0


def open_reply_writer(config: LlmConfig) -> ReplyWriter:
    """A reply writer; nothing is sent before it is used."""
    # A second or two, which the first reply of a call should not pay on the event loop.
    import openai  # noqa: F401

    return OpenAIReplyWriter(config)


def open_text_model(config: LlmConfig) -> TextModel:
    """A text model; nothing is sent before it is used."""
    return OpenAITextModel(config)


def _fault(error: Exception) -> EngineError:
    """What a failed request means. Never quotes what was sent or received."""
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return EngineError("The model server refused the API key; check the variable that llm.api_key_env names.")
    if isinstance(error, openai.NotFoundError):
        return EngineError("The model server does not know the model or the path; check llm.model and llm.url (it ends in /v1).")
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return EngineError("The model server did not answer in time.", retryable=True)
    if isinstance(error, openai.APIStatusError):
        retryable = error.status_code in (408, 409, 425, 429) or error.status_code >= 500
        return EngineError(f"The model server answered with status {error.status_code}.", retryable=retryable)
    return EngineError(f"The model server's answer broke off or made no sense ({type(error).__name__}).", retryable=True)


def _left_alone() -> EngineError:
    return EngineError("The model server failed several times in a row and is left alone for a while.", retryable=True)


def _connect(config: LlmConfig, timeout_s: float) -> AsyncOpenAI:
    from openai import AsyncOpenAI

    # Retries are ours: they know the deadline and the budget.
    return AsyncOpenAI(base_url=config.base_url, api_key=config.api_key or "none", timeout=timeout_s, max_retries=0)


class OpenAIReplyWriter:
    """``copilot.domain.ports.llm.ReplyWriter``. Used from one event loop."""

    def __init__(self, config: LlmConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        self.breaker = CircuitBreaker()
        self._budget = RetryBudget()
        self._client: AsyncOpenAI | None = None

    @property
    def model_id(self) -> str:
        return self._config.model

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyPiece, None]:
        """Cleared pieces of the reply, whole clauses. See ``ReplyWriter``."""
        deadline = self._monotonic() + self._config.timeout_s
        self._budget.requested()
        for attempt in range(_ATTEMPTS):
            shown = False
            if not self.breaker.allows(self._monotonic()):
                break
            try:
                async with aclosing(self._attempt(request, deadline)) as pieces:
                    async for piece in pieces:
                        shown = True
                        yield piece
                return
            except EngineError as error:
                last = attempt + 1 == _ATTEMPTS or self._monotonic() >= deadline
                if shown or last or not error.retryable or not self._budget.take():
                    raise
        raise _left_alone()

    async def aclose(self) -> None:
        """Closes the connections to the server. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _attempt(self, request: ReplyRequest, deadline: float) -> AsyncGenerator[ReplyPiece, None]:
        sources = [source_text(hit) for hit in request.hits]
        guard = ReplyGuard(sources, request.forbidden)
        answered = False
        chunks: Any = None
        try:
            chunks = await asyncio.wait_for(self._open().chat.completions.create(**self._body(request, sources)), self._left(deadline))
            finished = ""
            iterator = aiter(chunks)
            while True:
                try:
                    chunk = await asyncio.wait_for(anext(iterator), self._left(deadline))
                except StopAsyncIteration:
                    break
                choice = chunk.choices[0] if chunk.choices else None
                if choice is None:
                    continue
                finished = choice.finish_reason or finished
                for cleared in guard.receive(choice.delta.content or "") if choice.delta is not None else ():
                    yield cleared
            if finished != "stop":
                # Without its last chunk the answer was cut: by the server's end, or by the token limit.
                raise EngineError("The model's reply was cut off; the approved answer stands.", retryable=not finished)
            # From here on the server has done its part, whatever the guard says.
            answered = True
            rest = guard.finish()
            self.breaker.succeeded()
            for cleared in rest:
                yield cleared
        except Refused:
            self.breaker.succeeded()
            raise
        except EngineError as error:
            if answered or not error.retryable:
                self.breaker.succeeded()
            else:
                self.breaker.failed(self._monotonic())
            raise
        except Exception as error:  # the client library and the HTTP library beneath it have errors of their own
            self.breaker.failed(self._monotonic())
            raise _fault(error) from None
        except (GeneratorExit, asyncio.CancelledError):
            self.breaker.abandoned()
            raise
        finally:
            if chunks is not None:
                await chunks.close()

    def _left(self, deadline: float) -> float:
        return max(0.001, deadline - self._monotonic())

    def _body(self, request: ReplyRequest, sources: Sequence[str]) -> dict[str, Any]:
        instructions = prompt("reply", request.language)
        styles = _STYLES[instructions.language]
        data = {
            "sources": [
                {"number": number, "title": hit.article.title, "text": text}
                for number, (hit, text) in enumerate(zip(request.hits, sources, strict=True), start=1)
            ],
            "dialogue": [{"speaker": turn.channel, "text": text} for turn, text in _dialogue(request.turns[-_RECENT_TURNS:])],
        }
        style = styles.get(request.style, styles["standard"])
        return {
            "model": self._config.model,
            "messages": [
                {"role": "system", "content": instructions.text.replace("{style}", style)},
                {"role": "user", "content": data_block(data)},
            ],
            "stream": True,
            "temperature": 0.2,
            "max_tokens": _REPLY_TOKENS,
        }

    def _open(self) -> AsyncOpenAI:
        if self._client is None:
            self._client = _connect(self._config, self._config.timeout_s)
        return self._client


def source_text(hit: Hit) -> str:
    """What a model may read of a hit: the approved answer, the passage found if it says more, no orders to machines."""
    answer, passage = hit.article.answer, hit.passage
    more = passage.text if passage.kind == "body" and passage.text not in answer else ""
    return without_instructions("\n".join(text for text in (answer, more) if text) or passage.text)


def _dialogue(turns: Sequence[Turn]) -> list[tuple[Turn, str]]:
    """The turns with what a model is given of them; a turn that is all orders is not given."""
    given = [(turn, without_instructions(turn.text)) for turn in turns]
    return [(turn, text) for turn, text in given if text]


class OpenAITextModel:
    """``copilot.domain.ports.llm.TextModel``. Synchronous (not from within an event loop) and thread-safe."""

    def __init__(self, config: LlmConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._timeout_s = config.after_call_timeout_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.breaker = CircuitBreaker()
        self._budget = RetryBudget()
        # Servers differ in what they can enforce; what one refuses is not asked of it again.
        self._formats: tuple[str, ...] = ("json_schema", "json_object", "text")

    @property
    def model_id(self) -> str:
        return self._config.model

    def complete_json(self, prompt_name: str, variables: dict[str, object], schema: dict[str, object]) -> dict[str, object]:
        """``variables["language"]`` picks the prompt, the others are its data. Raises EngineError."""
        language = str(variables.get("language", "en"))
        data = {name: value for name, value in variables.items() if name != "language"}
        messages = [
            {"role": "system", "content": prompt(prompt_name, language).text},
            {"role": "user", "content": data_block(data)},
        ]
        deadline = self._monotonic() + self._timeout_s
        with self._lock:
            self._budget.requested()
        for attempt in range(_ATTEMPTS):
            with self._lock:
                if not self.breaker.allows(self._monotonic()):
                    break
            try:
                # A loop of its own bounds the whole request, however slowly the server drips.
                answer = asyncio.run(self._ask(prompt_name, messages, schema, deadline))
            except EngineError as error:
                with self._lock:
                    if error.retryable:
                        self.breaker.failed(self._monotonic())
                    else:
                        self.breaker.succeeded()
                    last = attempt + 1 == _ATTEMPTS or not error.retryable or self._monotonic() >= deadline
                    if last or not self._budget.take():
                        raise
            else:
                with self._lock:
                    self.breaker.succeeded()
                return answer
        raise _left_alone()

    async def _ask(self, name: str, messages: list[dict[str, str]], schema: dict[str, object], deadline: float) -> dict[str, object]:
        import openai

        async with _connect(self._config, self._timeout_s) as client:
            while True:
                form = self._formats[0]
                try:
                    async with asyncio.timeout(max(0.001, deadline - self._monotonic())):
                        completion: Any = await client.chat.completions.create(
                            model=self._config.model,
                            messages=messages,  # type: ignore[arg-type]  # plain dicts are what goes over the wire
                            temperature=0.0,
                            max_tokens=_JSON_TOKENS,
                            **_response_format(form, name, schema),
                        )
                    choice = completion.choices[0]
                    text = choice.message.content or ""
                except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                    if form != "text":
                        self._formats = self._formats[1:] if self._formats[0] == form else self._formats
                        continue
                    raise _fault(error) from None
                except Exception as error:  # the client library and the HTTP library beneath it have errors of their own
                    raise _fault(error) from None
                if choice.finish_reason == "length":
                    raise EngineError("The model's answer was cut off at its token limit; use a model with a longer context.")
                return _validated(text, schema)


def _response_format(form: str, name: str, schema: dict[str, object]) -> dict[str, Any]:
    if form == "json_schema":
        return {"response_format": {"type": form, "json_schema": {"name": name, "schema": schema, "strict": True}}}
    return {"response_format": {"type": form}} if form == "json_object" else {}


def _validated(text: str, schema: dict[str, object]) -> dict[str, object]:
    """The one JSON object in the model's answer. Raises EngineError."""
    import jsonschema

    text = _FENCE.sub("", _THINKING.sub("", text).strip())
    try:
        answer = json.loads(text)
        jsonschema.validate(answer, schema)
    except (ValueError, RecursionError, jsonschema.ValidationError):
        raise EngineError("The model's answer is not the JSON that was asked for.") from None
    found: dict[str, object] = answer
    return found
