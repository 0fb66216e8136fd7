"""Keys. Each call has its own AES-256 key, kept wrapped by a master key; losing the call's key is what erasing the call means.

The master key lives in a file beside the data, not in the database: a copy of the database alone reads nothing. Back it up apart from the
database, and give every node of a cluster the same file.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from copilot.domain.errors import ConfigError, EngineError

KEY_BYTES = 32
_NONCE_BYTES = 12


def _seal(key: bytes, data: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, context)


def _open(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise EngineError("Encrypted data does not fit its key or its place: it was damaged or moved; restore it from a backup.") from None


class CallCipher:
    """Seals and opens bytes with one call's key (AES-256-GCM, random 96-bit nonce in front)."""

    __slots__ = ("_context", "_key")

    def __init__(self, key: bytes, context: bytes) -> None:
        self._key = key
        self._context = context

    def __repr__(self) -> str:
        return "CallCipher(…)"

    def seal(self, data: bytes, place: bytes = b"") -> bytes:
        """``place`` says where the result belongs (a row, a file); it must be the same to open it."""
        return _seal(self._key, data, self._context + b"\0" + place)

    def open(self, sealed: bytes, place: bytes = b"") -> bytes:
        """Raises EngineError when the bytes were changed or belong elsewhere."""
        return _open(self._key, sealed, self._context + b"\0" + place)


class KeyRing:
    """Master keys by id. New keys are wrapped by the current one; older ones still open what they wrapped."""

    def __init__(self, keys: dict[str, bytes], current: str) -> None:
        if current not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise ConfigError("The master key file is damaged; restore it from its backup (without it stored calls cannot be read).")
        self._keys = dict(keys)
        self.current = current

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r})"

    @classmethod
    def open(cls, path: Path) -> KeyRing:
        """Reads the key file; creates it (mode 0600) at the first run. Raises ConfigError."""
        try:
            if not path.exists():
                _create(path)
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise ConfigError(f"The master key file {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls({name: base64.b64decode(text, validate=True) for name, text in stored["keys"].items()}, stored["current"])
        except OSError as error:
            raise ConfigError(f"The master key file {path} cannot be used ({error.strerror}); check its place and rights.") from None
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise ConfigError(f"The master key file {path} is damaged; restore it from its backup.") from None

    def key_ids(self) -> frozenset[str]:
        return frozenset(self._keys)

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """(id of the master key used, wrapped key)."""
        return self.current, _seal(self._keys[self.current], key, context)

    def derive(self, purpose: str) -> tuple[str, bytes]:
        """(id of the current master key, 32 bytes made from it for this purpose alone: HKDF-SHA256)."""
        made = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._keys[self.current])
        return self.current, made

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Raises ConfigError when the master key is not in this ring."""
        master = self._keys.get(key_id)
        if master is None:
            raise ConfigError(f"The master key {key_id} is not in the key file; put back the key file that belongs to this database.")
        return _open(master, wrapped, context)


def new_call_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def call_context(org_id: str, call_id: str) -> bytes:
    """What a call's key and data are bound to."""
    return f"{org_id}\0{call_id}".encode()


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(4)
    text = json.dumps({"current": name, "keys": {name: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}}, indent=1)
    # Written whole under another name, then linked: two processes starting at once agree on one key, and none reads half a file.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink(missing_ok=True)
