"""What an operator does about a failed poll, in plain words."""

from collections.abc import Mapping
from http import HTTPStatus

from exporter.errors import PollError, Reason

# By reason and, where it tells more, status: what was looked at, and what to do.
_ADVICE: Mapping[tuple[Reason, int | None], tuple[str, str]] = {
    (Reason.DNS, None): (
        "reachable",
        "Check the host name in --localai.url, and that this machine's resolver knows it.",
    ),
    (Reason.CONNECT, None): (
        "reachable",
        "Check that LocalAI runs, that --localai.url has its port, and that no firewall stands between.",
    ),
    (Reason.TLS, None): (
        "reachable",
        "Check that the port speaks TLS. A certificate of your own authority goes into --localai.tls-ca-file.",
    ),
    (Reason.TIMEOUT, None): (
        "reachable",
        "Check the network, and whether LocalAI is overloaded; --poll.timeout is how long we wait.",
    ),
    (Reason.PROTOCOL, None): (
        "reachable",
        "Check that the port in --localai.url is LocalAI's; for a TLS port the URL has to begin with https.",
    ),
    (Reason.REDIRECT, None): (
        "reachable",
        "Put the URL that it points to into --localai.url: often the same one with https.",
    ),
    (Reason.AUTH, None): (
        "key",
        "Check that the file of --localai.api-key-file is there, can be read, and holds one key.",
    ),
    (Reason.AUTH, HTTPStatus.UNAUTHORIZED): (
        "key",
        "LocalAI does not know this key: compare it with LocalAI's own LOCALAI_API_KEY.",
    ),
    (Reason.AUTH, HTTPStatus.FORBIDDEN): (
        "key",
        "With user accounts on (v4.1 and newer) the P2P API wants an admin's key; v2.21 to v2.23 refuse any key so.",
    ),
    (Reason.HTTP_STATUS, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED): (
        "reachable",
        "Let the proxy pass the exporter on without credentials: it has none to give.",
    ),
    (Reason.HTTP_STATUS, HTTPStatus.NOT_FOUND): (
        "api",
        "No P2P API is at this URL: check its path. Releases before v3.2 have one only when built with the tag p2p.",
    ),
    (Reason.HTTP_STATUS, HTTPStatus.INTERNAL_SERVER_ERROR): (
        "api",
        "LocalAI's P2P subsystem is not available, or failed: look at LocalAI's log.",
    ),
    (Reason.HTTP_STATUS, None): (
        "api",
        "LocalAI, or a proxy before it, cannot answer now: look at its log.",
    ),
    (Reason.NOT_JSON, None): (
        "api",
        "Not LocalAI's API answers here but, say, its web page or a proxy's: check the path in --localai.url.",
    ),
    (Reason.SHAPE, None): (
        "api",
        "No known release of LocalAI answers so. Is this LocalAI? If it is, please report its version.",
    ),
    (Reason.TOO_LARGE, None): (
        "api",
        "Raise --localai.max-response-bytes, or restart LocalAI, which never forgets a node until then.",
    ),
    (Reason.INTERNAL, None): ("api", "This is a bug of the exporter: please report it."),
}
# Through a proxy these are of the way to it, or from it on.
_BY_PROXY: Mapping[Reason, str] = {
    Reason.DNS: "Check the host name in --localai.proxy-url, and that this machine's resolver knows it.",
    Reason.CONNECT: "Check that the proxy in --localai.proxy-url runs, and that it lets the exporter through.",
    Reason.TIMEOUT: "Check the network on both sides of --localai.proxy-url; --poll.timeout is how long we wait.",
    Reason.PROTOCOL: "Check that --localai.proxy-url is an HTTP proxy's, and the port in --localai.url LocalAI's.",
}
_WITHOUT_KEY = "LocalAI wants a key: give it by --localai.api-key-file or the variable LOCALAI_API_KEY."


def advise(error: PollError, *, has_key: bool = True, has_proxy: bool = False) -> tuple[str, str]:
    """Return what was looked at (`reachable`, `key` or `api`), and what to do.

    Args:
        error: why the poll failed.
        has_key: whether LocalAI was given a key.
        has_proxy: whether LocalAI is asked through a proxy.
    """
    check, advice = _ADVICE.get((error.reason, error.status)) or _ADVICE[error.reason, None]
    if error.status == HTTPStatus.UNAUTHORIZED and not has_key:
        advice = _WITHOUT_KEY
    if has_proxy:
        advice = _BY_PROXY.get(error.reason, advice)
    return check, advice
