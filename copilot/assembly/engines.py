"""From URLs and names to engines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from copilot.domain.clock import Clock
from copilot.domain.errors import ConfigError, EngineError
from copilot.domain.ids import OrgId
from copilot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from copilot.domain.knowledge import Article, BankTerm
    from copilot.domain.people import AuditEntry
    from copilot.domain.ports.asr import RecognitionEngine
    from copilot.domain.ports.bus import Bus
    from copilot.domain.ports.knowledge import Embedder
    from copilot.domain.ports.llm import ReplyWriter, TextModel
    from copilot.domain.ports.media import MediaStore
    from copilot.domain.ports.translation import Translator
    from copilot.llm.client import LlmConfig
    from copilot.modelhub.hub import ModelHub
    from copilot.search.engine import CallIndex
    from copilot.store.doorbell import OnCommitted
    from copilot.store.store import Store
    from copilot.tools.desk import ToolDesk
    from kb.embeddings import RememberingEmbedder
    from kb.intents import ExemplarIntents
    from kb.moods import MoodReader
    from kb.reranking import Reranker
    from kb.service import KnowledgeBase
    from postcall.diarize.speakers import Diarizer
    from streaming.asr.lexicon import Lexicon
    from streaming.asr.schedule import ScheduleConfig
    from streaming.asr.utterance import Finish
    from streaming.pipeline import PipelineConfig
    from streaming.vad.silero import SileroVad

VAD_MODEL = "silero-vad"
_GPU_CHANNELS = 512
"""A ceiling per GPU where asr.max_channels is 0: far above what one carries, so that the measured load decides."""


def open_diarizer() -> Diarizer:
    """Tells speakers of one channel apart. Raises ConfigError when the extra, or its weights, are not installed."""
    from postcall.diarize.pyannote_engine import PyannoteDiarizer

    return PyannoteDiarizer()


def one_core_each() -> None:
    """Linear algebra stays on the thread that asks for it: a pool of its own would take the decoders' cores, mostly to wait."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # the pool must be there to be limited
    threadpool_limits(limits=1, user_api="blas")


def import_model_code() -> None:
    """Import what the models run on, before threads load several of them at once: importing in two threads can end in a deadlock error."""
    import faster_whisper  # noqa: F401
    import onnxruntime  # noqa: F401

    import streaming.vad.silero  # noqa: F401


def model_hub(settings: Settings) -> ModelHub:
    """The model files of this installation."""
    from copilot.modelhub.hub import ModelHub
    from copilot.modelhub.sources import SourceConfig

    models = settings.models
    sources = SourceConfig(local=models.local, mirror=models.mirror, hub=models.hub, packages=models.packages)
    return ModelHub(settings.models_dir, sources, manifest=models.manifest)


def default_models(settings: Settings) -> tuple[str, ...]:
    """The models that these settings need; a directory given as ASR model is not pulled."""
    asr = () if Path(settings.asr.model).is_dir() else (settings.asr.model,)
    return (*asr, settings.embed.model, VAD_MODEL)


def system_clock() -> Clock:
    from copilot.telemetry.clock import SystemClock

    return SystemClock()


def open_store(settings: Settings, *, on_committed: OnCommitted | None = None) -> Store:
    """The store of these settings, migrated. The master key stays in the data directory."""
    from copilot.store.keyring import KeyRing
    from copilot.store.store import open_store as open_

    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_(settings.store_url, KeyRing.open(settings.data_dir / "master.key"), system_clock(), on_committed=on_committed)
    store.people.ensure_org(OrgId(settings.org))
    return store


def open_bus(settings: Settings) -> Bus:
    scheme = urlsplit(settings.bus.url).scheme
    if scheme == "local":
        from copilot.bus.local import LocalBus

        return LocalBus()
    if scheme in ("redis", "rediss"):
        from copilot.bus.redis import RedisBus

        return RedisBus(settings.bus.url)
    raise ConfigError(f"bus.url is {settings.bus.url!r}; it must begin with local:// or redis://.")


def open_media(settings: Settings) -> MediaStore:
    from copilot.store.media import open_media as open_

    return open_(settings.media_url)


def open_embedder(settings: Settings, threads: int = 1) -> Embedder:
    """The embedding model; what it is asked is not kept. ``threads``: cores for many texts at once (a single one is always one core's)."""
    from kb.embeddings import open_embedder as open_

    return open_(model_hub(settings), settings.embed.model, threads=threads)


def remembering(settings: Settings, embedder: Embedder) -> RememberingEmbedder:
    """The same with a file of vectors beside the models, shared by every index here. For the bank's own texts, never for calls."""
    from kb.embeddings import RememberingEmbedder

    settings.models_dir.mkdir(parents=True, exist_ok=True)
    return RememberingEmbedder(embedder, settings.models_dir / "vectors.sqlite")


def open_knowledge_base(settings: Settings, org_id: OrgId, embedder: Embedder, *, threads: int = 1) -> KnowledgeBase:
    """The knowledge base of one organisation over the engine that kb.url names. ``threads``: cores to write a large index with."""
    from kb.service import KnowledgeBase

    url, reranker = urlsplit(settings.kb_url), _open_reranker(settings)
    if url.scheme == "embedded":
        from kb.embedded import EmbeddedEngine

        return KnowledgeBase(
            EmbeddedEngine(Path(url.path) / org_id, remembering(settings, embedder), threads=threads), embedder, reranker=reranker
        )
    if url.scheme in ("elasticsearch", "elasticsearch+https"):
        from kb.elastic import open_elastic_engine

        return KnowledgeBase(open_elastic_engine(settings.kb_url, org_id, remembering(settings, embedder)), embedder, reranker=reranker)
    raise ConfigError(f"kb.url is {settings.kb_url!r}; it must begin with embedded:// or elasticsearch://.")


def open_call_index(settings: Settings, org_id: OrgId, embedder: Embedder, key_id: str) -> CallIndex:
    """The index of one organisation's calls over the engine that search.url names. ``key_id``: of the key its terms are blinded with."""
    from copilot.search.embedded import EmbeddedCallIndex

    url = urlsplit(settings.search_url)
    if url.scheme != "embedded":
        raise ConfigError(f"search.url is {settings.search_url!r}; it must begin with embedded://.")
    return EmbeddedCallIndex(Path(url.path) / org_id, embedder, key_id)


def _open_reranker(settings: Settings) -> Reranker | None:
    """What puts the first hits in order; None without kb.rerank_url."""
    kb = settings.kb
    if not kb.rerank_url:
        return None
    from kb.reranking import HttpReranker

    key = os.environ.get(kb.rerank_api_key_env, "")
    return HttpReranker(kb.rerank_url, kb.rerank_model, api_key=key, timeout_s=kb.rerank_timeout_s)


def open_intents(
    settings: Settings, pack: str, articles: Sequence[Article], embedder: Embedder, trained: str | None = None
) -> ExemplarIntents:
    """The classifier from the intents pack, the similar questions of the articles and the stored model (``trained``), if it fits."""
    from kb.intent_model import parse_trained
    from kb.intents import ExemplarIntents

    model = parse_trained(trained) if trained is not None else None
    return ExemplarIntents(pack, articles, embedder, exemplar_embedder=remembering(settings, embedder), trained=model)


def open_moods(settings: Settings, pack: str, embedder: Embedder) -> MoodReader:
    """The mood classifier from the moods pack."""
    from kb.moods import MoodReader

    return MoodReader(pack, embedder, exemplar_embedder=remembering(settings, embedder))


def asr_directory(settings: Settings) -> Path:
    """The directory of the recognition model. Raises NotFound or EngineError as the model hub does."""
    given = Path(settings.asr.model)
    return given if given.is_dir() else model_hub(settings).path(settings.asr.model)


def open_recognizers(settings: Settings) -> list[RecognitionEngine]:
    """One recogniser for each device: the CPU with a worker per core, or each GPU of asr.device_index."""
    from streaming.asr.detect import engine_of
    from streaming.asr.devices import gpus

    asr = settings.asr
    if len(set(asr.device_index)) < len(asr.device_index):
        raise ConfigError("asr.device_index names a GPU twice; name each once and set asr.decoders for more threads on it.")
    directory = asr_directory(settings)
    cores = max(1, os.cpu_count() or 1)
    if (engine_of(directory) if asr.engine == "auto" else asr.engine) == "sherpa":
        from streaming.asr.sherpa import SherpaRecognizer

        if asr.device_index != (0,):
            raise ConfigError("sherpa-onnx uses the first GPU only: leave asr.device_index at [0], and run a node for each further GPU.")
        return [SherpaRecognizer(directory, asr.device, asr.decoders or cores, model_id=asr.model)]
    on_gpu = asr.device == "cuda" or (asr.device == "auto" and gpus() > 0)
    return [_open_whisper(settings, directory, index, asr.decoders or (2 if on_gpu else cores)) for index in asr.device_index]


def open_recognizer(settings: Settings) -> RecognitionEngine:
    """The recogniser of the first device, for work on files."""
    first = settings.asr.model_copy(update={"device_index": settings.asr.device_index[:1]})
    return open_recognizers(settings.model_copy(update={"asr": first}))[0]


def _open_whisper(settings: Settings, directory: Path, index: int, workers: int) -> RecognitionEngine:
    from streaming.asr.whisper import WhisperRecognizer

    asr = settings.asr
    recognizer = WhisperRecognizer(
        directory,
        asr.device,
        asr.compute_type,
        workers,
        device_index=index,
        flash_attention=asr.flash_attention,
        model_id=asr.model,
        compact_dir=_compact(settings, directory),
    )
    if asr.language not in recognizer.languages:
        raise ConfigError(f"{asr.model} understands English only, but asr.language is {asr.language}: choose a multilingual model.")
    return recognizer


def _compact(settings: Settings, directory: Path) -> Path | None:
    """The model with the vocabulary of Mandarin calls, if the settings want it and it can be made."""
    from streaming.asr.compact import compact_model
    from streaming.asr.devices import gpus

    asr = settings.asr
    on_gpu = asr.device == "cuda" or (asr.device == "auto" and gpus() > 0)
    if asr.vocabulary == "full" or asr.language != "zh" or (asr.vocabulary == "auto" and on_gpu):
        return None
    try:
        return compact_model(directory, settings.models_dir / "derived")
    except EngineError as error:
        if asr.vocabulary == "compact":
            raise ConfigError(f"asr.vocabulary is compact, but: {error} Set it to auto.") from error
        return None


def schedule_config(settings: Settings, recognizers: Sequence[RecognitionEngine]) -> ScheduleConfig:
    """How many windows at once and how many channels these engines are given; admission goes by measured load before that."""
    from streaming.asr.schedule import ScheduleConfig

    asr = settings.asr
    batch = asr.max_batch or recognizers[0].max_batch
    usual = ScheduleConfig()
    channels = asr.max_channels or (usual.max_channels if batch <= usual.max_batch else _GPU_CHANNELS * len(recognizers))
    return replace(usual, max_batch=batch, max_channels=channels)


def open_reply_writer(settings: Settings) -> ReplyWriter | None:
    """The model that writes replies during the call; None without llm.url, or where llm.replies is off."""
    if not settings.llm.url or settings.llm.replies == "off":
        return None
    from copilot.llm.client import open_reply_writer as open_

    return open_(_llm_config(settings))


def open_translator(settings: Settings) -> Translator | None:
    """Translates the other side's lines; None unless llm.url and llm.translate_to are set."""
    if not settings.llm.url or not settings.llm.translate_to:
        return None
    from copilot.llm.client import open_text_model as open_
    from copilot.llm.translate import LlmTranslator

    # A line is worth as long a wait as a reply, not as after-call work.
    return LlmTranslator(open_(replace(_llm_config(settings), after_call_timeout_s=settings.llm.timeout_s)))


def open_tools(settings: Settings, audit: Callable[[AuditEntry], None]) -> ToolDesk:
    """The question desk of this node. Raises ConfigError or InvalidInput for a tool file that cannot be used."""
    from copilot.tools.database import ViewsDatabase
    from copilot.tools.desk import ToolDesk
    from copilot.tools.files import ToolSet, parse_tools

    tools = settings.tools
    database = ViewsDatabase(tools.database_url, tools.timeout_s) if tools.database_url else None
    declared = ToolSet()
    if tools.file is not None:
        if not tools.file.is_file():
            raise ConfigError(f"The tool file {tools.file} does not exist; set tools.file to another one or leave it out.")
        dialect = database.dialect if database is not None else "sqlite"
        declared = parse_tools(tools.file.read_text(encoding="utf-8"), dialect=dialect, most_rows=tools.most_rows)
    return ToolDesk(
        tools=declared,
        database=database,
        clock=system_clock(),
        audit=audit,
        model=open_text_model(settings),
        most_rows=tools.most_rows,
    )


def open_text_model(settings: Settings) -> TextModel | None:
    """The model of after-call work; None without llm.url."""
    if not settings.llm.url:
        return None
    from copilot.llm.client import open_text_model as open_

    return open_(_llm_config(settings))


def _llm_config(settings: Settings) -> LlmConfig:
    from copilot.llm.client import LlmConfig

    llm = settings.llm
    if not llm.model:
        raise ConfigError("llm.url is set but llm.model is empty; name the model that the server offers.")
    return LlmConfig(
        base_url=llm.url,
        model=llm.model,
        api_key=os.environ.get(llm.api_key_env, ""),
        timeout_s=llm.timeout_s,
        after_call_timeout_s=llm.after_call_timeout_s,
    )


def open_vad(settings: Settings) -> SileroVad:
    """The voice-activity model, shared by all channels; each has a state of its own."""
    from streaming.vad.silero import SileroVad

    return SileroVad(model_hub(settings).path(VAD_MODEL) / "silero_vad_v6.onnx")


def pipeline_config(settings: Settings) -> PipelineConfig:
    """How each channel is cut into utterances, the same for live calls and for files."""
    from streaming.pipeline import PipelineConfig
    from streaming.vad.endpoint import EndpointConfig

    asr = settings.asr
    # Wider margins than the pipeline's own: on rendered calls they took about a tenth off the error rate of short utterances.
    return PipelineConfig(
        endpoint=EndpointConfig(end_ms=asr.endpoint_ms, speculate_ms=min(200, asr.endpoint_ms)),
        pre_roll_ms=600,
        tail_ms=min(450, asr.endpoint_ms),
        first_partial_ms=360,
        final_beam=asr.beam_size,
        lead_ms=asr.lead_ms,
    )


def open_lexicon(terms: Sequence[BankTerm]) -> Lexicon:
    """The bank's terms by sound and spelling."""
    from streaming.asr.lexicon import Lexicon

    return Lexicon((term.text for term in terms), aliases={alias: term.text for term in terms for alias in term.aliases})


def open_finish(lexicon: Lexicon) -> Finish:
    """Terms put right, then numbers written."""
    from streaming.asr.finishing import finisher
    from streaming.asr.itn import find_itn

    return finisher(lexicon.find_corrections, find_itn)


def lexicon_of(settings: Settings) -> tuple[BankTerm, ...]:
    """The bank's terms, for a command; empty before a lexicon is imported."""
    from copilot.live.packs import lexicon_terms

    store = open_store(settings)
    try:
        found = store.articles(OrgId(settings.org)).pack("lexicon")
    finally:
        store.close()
    return lexicon_terms(found[1]) if found is not None else ()
