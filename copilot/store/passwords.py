"""Password hashing (Argon2id, RFC 9106's second recommended setting: 64 MiB, 3 passes)."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from copilot.domain.errors import InvalidInput

MIN_LENGTH = 10
MAX_BYTES = 1024
_AT_ONCE = 2  # each hash holds 64 MiB; a storm of sign-ins waits in line instead of eating the node


class Passwords:
    """Hashes and checks. Thread-safe; slow on purpose (tens of ms)."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._guard = threading.Lock()
        self._nobody: str | None = None

    def hash(self, password: str, username: str) -> str:
        """Raises InvalidInput when the password is too short, too long or the username."""
        if len(password) < MIN_LENGTH or len(password.encode()) > MAX_BYTES:
            raise InvalidInput(f"A password has at least {MIN_LENGTH} characters and at most {MAX_BYTES} bytes.")
        if password.casefold() == username.casefold():
            raise InvalidInput("The password must not be the username.")
        with self._turns:
            return self._hasher.hash(password)

    def check(self, stored: str | None, password: str) -> bool:
        """True if it is the password. ``stored`` None (no such user) takes as long as a wrong password and is False."""
        if len(password.encode()) > MAX_BYTES:
            password = ""
        with self._turns:
            try:
                self._hasher.verify(stored or self._decoy(), password)
            except (Argon2Error, InvalidHashError):
                return False
        return stored is not None

    def _decoy(self) -> str:
        with self._guard:
            if self._nobody is None:
                self._nobody = self._hasher.hash("nobody has this password")
            return self._nobody
