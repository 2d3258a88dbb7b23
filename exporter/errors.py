"""Why a poll failed: a closed vocabulary, because it becomes a label."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Values of the label `reason`; `REASONS` says what each means."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    AUTH = "auth"
    HTTP_STATUS = "http_status"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    SHAPE = "shape"
    INTERNAL = "internal"


REASONS: Mapping[Reason, str] = {
    Reason.DNS: "The host name could not be resolved.",
    Reason.CONNECT: "No TCP connection could be made: nobody answers, or this machine is out of descriptors.",
    Reason.TLS: "The TLS handshake failed, or the certificate was not accepted.",
    Reason.TIMEOUT: "The poll's deadline passed first.",
    Reason.PROTOCOL: "What answered does not keep to HTTP, or used an encoding that was not asked for.",
    Reason.REDIRECT: "LocalAI, or what stands before it, pointed elsewhere; redirects are not followed.",
    Reason.AUTH: "401 or 403: the key is missing, wrong, or not an admin's.",
    Reason.HTTP_STATUS: "Any other status than 200.",
    Reason.TOO_LARGE: "The answer is larger than `--localai.max-response-bytes`, or has more nodes than go with it.",
    Reason.NOT_JSON: "The answer is not JSON in UTF-8.",
    Reason.SHAPE: "The answer is JSON, and not what any known LocalAI release says there; or it repeats the API key.",
    Reason.INTERNAL: "None of the others: a bug of the exporter. Please report it.",
}
"""What an operator is told of each reason."""


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
