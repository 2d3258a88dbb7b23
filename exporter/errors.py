"""Why a poll failed: a closed vocabulary, because it becomes a label."""

from enum import StrEnum


class Reason(StrEnum):
    """Values of the label `reason`. A failure that fits none of them is `INTERNAL`: a bug that says so."""

    DNS = "dns"
    """The host name could not be resolved."""
    CONNECT = "connect"
    """No TCP connection could be made."""
    TLS = "tls"
    """The TLS handshake failed, or the certificate was not accepted."""
    TIMEOUT = "timeout"
    """The poll's deadline passed first."""
    PROTOCOL = "protocol"
    """What answered does not keep to HTTP, or used a content encoding that was not asked for."""
    REDIRECT = "redirect"
    """LocalAI, or what stands before it, pointed elsewhere; redirects are not followed."""
    AUTH = "auth"
    """401 or 403: the key is missing, wrong, or not an admin's."""
    HTTP_STATUS = "http_status"
    """Any other status than 200."""
    TOO_LARGE = "too_large"
    """The answer is larger than `--localai.max-response-bytes`."""
    NOT_JSON = "not_json"
    """The answer is not JSON in UTF-8, as RFC 8259 has it."""
    SHAPE = "shape"
    """The answer is JSON, and not what any known LocalAI release says there."""
    INTERNAL = "internal"
    """The exporter itself failed: please report it."""


class PollError(Exception):
    """A question to LocalAI that got no usable answer.

    Attributes:
        reason: the closed word for it.
        detail: plain words for logs and pages, written by this program alone: never a piece of an answer, a header
            or another exception's text, any of which could hold a secret.
        status: the HTTP status, where there was one.
    """

    def __init__(self, reason: Reason, detail: str, status: int | None = None) -> None:
        super().__init__(reason, detail, status)
        self.reason = reason
        self.detail = detail
        self.status = status

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class UsageError(Exception):
    """What the operator gave cannot be used; the text says what to do about it."""
