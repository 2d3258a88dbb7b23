"""Basic authentication (RFC 7617) against bcrypt hashes: one check at a time, and none that tells a user's name."""

import base64
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from enum import Enum, auto

import bcrypt

from exporter.settings import Secret

CHALLENGE = 'Basic realm="localai-p2p-exporter", charset="UTF-8"'
"""The `WWW-Authenticate` of a 401."""

UNDER_WAY = 2
"""How many requests have their password checked or wait for it: more must not hold all the server's threads."""

WAIT_SECONDS = 5.0
"""How long a request waits for its turn: half of what it has in all."""

REMEMBERED = 1_000
"""How many results are kept of each kind."""

_MOST_PASSWORD_BYTES = 72  # bcrypt reads no further: a longer password would be as good as its beginning

_PLAUSIBLE = b"." * 53  # salt and digest of a hash that no password is known for


class Access(Enum):
    """What becomes of a request."""

    GRANTED = auto()
    REFUSED = auto()
    """A 401 with `CHALLENGE`."""
    BUSY = auto()
    """A 503: others' passwords are being checked. What was checked before is never busy."""


class BasicAuth:
    """Checks credentials, and remembers by a digest with a key of its own which were right and which were wrong.

    Args:
        check: whether a password belongs to a hash; slow.
        under_way: how many requests have their password checked or wait for it.
        wait_seconds: how long a request waits for its turn.
    """

    def __init__(
        self,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
        under_way: int = UNDER_WAY,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._check = check
        self._most_under_way = under_way
        self._wait_seconds = wait_seconds
        self._entry = threading.Lock()
        self._under_way = 0
        self._turn = threading.Lock()
        self._digest_key = secrets.token_bytes(32)
        # Apart, so that no flood of wrong passwords drives out a right one. Changed by whose turn it is alone.
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, None] = {}

    def access(self, users: Mapping[str, Secret], authorization: str) -> Access:
        """Decide on a request.

        Args:
            users: from name to bcrypt hash.
            authorization: its header of that name; empty where it has none.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return Access.REFUSED
        name, password = credentials
        known, nobody = _hash_of(users, name), self._hash_of_nobody(users, name)
        hashed = known or nobody
        digest = self._digest(name, password, hashed)
        if (remembered := self._remembered(digest)) is not None:
            return remembered
        with self._entry:
            if self._under_way >= self._most_under_way:
                return Access.BUSY
            self._under_way += 1
        try:
            return self._decide(digest, password, hashed, is_known=known is not None)
        finally:
            with self._entry:
                self._under_way -= 1

    def _decide(self, digest: bytes, password: bytes, hashed: bytes, *, is_known: bool) -> Access:
        if not self._turn.acquire(timeout=self._wait_seconds):
            return Access.BUSY
        try:
            # It may have been somebody else's turn with the same credentials.
            if (remembered := self._remembered(digest)) is not None:
                return remembered
            is_right = self._check(password, hashed) and is_known
            _remember(self._right if is_right else self._wrong, digest)
        finally:
            self._turn.release()
        return Access.GRANTED if is_right else Access.REFUSED

    def _hash_of_nobody(self, users: Mapping[str, Secret], name: bytes) -> bytes:
        """Return a hash that costs as much as some user's, always the same one's: so does a known name."""
        costs = [secret.reveal()[4:6].encode() for secret in users.values()]
        chosen = costs[int.from_bytes(self._digest(name)) % len(costs)]
        return b"$2b$" + chosen + b"$" + _PLAUSIBLE

    def _digest(self, *parts: bytes) -> bytes:
        digest = hmac.new(self._digest_key, digestmod="sha256")
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()

    def _remembered(self, digest: bytes) -> Access | None:
        if digest in self._right:
            return Access.GRANTED
        return Access.REFUSED if digest in self._wrong else None


def _hash_of(users: Mapping[str, Secret], name: bytes) -> bytes | None:
    found = None
    for user, secret in users.items():  # all of them, each in constant time
        if hmac.compare_digest(user.encode(), name):
            found = secret.reveal().encode()
    return found


def _remember(results: dict[bytes, None], digest: bytes) -> None:
    if len(results) >= REMEMBERED:
        del results[next(iter(results))]
    results[digest] = None


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    """Return name and password; None where none can be right."""
    match = re.fullmatch(r"basic +([A-Za-z0-9+/]+=*) *", authorization, re.ASCII | re.IGNORECASE)
    if not match:
        return None
    try:
        name, colon, password = base64.b64decode(match[1], validate=True).partition(b":")
    except ValueError:
        return None
    return (name, password) if colon and len(password) <= _MOST_PASSWORD_BYTES else None
