"""One GET to LocalAI: bytes and the server's clock, or a `PollError`. Never late, never too large, never elsewhere."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3
from requests.auth import AuthBase

from exporter import __version__
from exporter.adapter import DeadlineAdapter
from exporter.clienttls import ClientTLS
from exporter.echo import repeats
from exporter.errors import PollError, Reason
from exporter.resolver import Resolver
from exporter.settings import ApiKeyFile, Secret, Target
from exporter.transport import Dialer, Wire
from exporter.usage import MachineError, UsageError

_PIECE_BYTES = 65_536
_HTTP_1_1 = 11
_FRAMING_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 and its whole body.

    Attributes:
        body: as it was sent.
        date: Unix seconds of the `Date` header, to the second; None where it is missing or unreadable.
        received_at: monotonic time at which the header was complete.
        media_type: what `Content-Type` says, without parameters and in lower case.
        reconnected: whether the connection had been kept from the answer before, and had to be made anew.
    """

    body: bytes
    date: float | None
    received_at: float
    media_type: str
    reconnected: bool = False


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        # Without a target requests neither follows a redirect nor reads its body, which may be a bomb.
        return None


class _Bearer(AuthBase):
    """Sends the key to LocalAI; an AuthBase, so that no ~/.netrc replaces it."""

    def __init__(self, key: Secret | ApiKeyFile) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            key = self._key.read() if isinstance(self._key, ApiKeyFile) else self._key
        except MachineError as error:
            # No connection could be made either, and no key is wrong.
            raise PollError(Reason.CONNECT, str(error)) from None
        except UsageError as error:
            raise PollError(Reason.AUTH, str(error)) from None
        request.headers["Authorization"] = f"Bearer {key.reveal()}"
        return request


class Client:
    """A connection to one LocalAI, kept alive between polls. Not for several threads at once.

    Args:
        target: where LocalAI is and how it is spoken to.
        monotonic: the clock of the deadlines, in seconds.
        resolver: who looks host names up.
        tls: what TLS connections are made with; made from `target` where none is given.

    Raises:
        UsageError: as for `ClientTLS`.
    """

    def __init__(
        self,
        target: Target,
        monotonic: Callable[[], float],
        resolver: Resolver | None = None,
        tls: ClientTLS | None = None,
    ) -> None:
        self._url = target.url
        self._limit = target.max_response_bytes
        self._monotonic = monotonic
        self._wire = Wire(monotonic)
        self._kept = False
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _Bearer(target.api_key) if target.api_key else None
        self._session.proxies = {"http": target.proxy_url, "https": target.proxy_url} if target.proxy_url else {}
        self._session.headers.update(
            {
                "Accept": "application/json",
                # Without it LocalAI v3.7 to v4.0 answer a missing key with a web page.
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"localai-p2p-exporter/{__version__}",
            }
        )
        tls = tls or ClientTLS.of(target, monotonic)
        adapter = DeadlineAdapter(Dialer(self._wire, resolver or Resolver(), tls.context if tls else None))
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Close the connection; the next GET opens one anew."""
        self._kept = False
        self._session.close()

    def get(self, path: str, deadline: float) -> Answer:
        """Ask for `path` below LocalAI's base URL.

        Args:
            path: begins with a slash.
            deadline: monotonic time at which the answer must be complete.

        Raises:
            PollError: there is no whole answer with status 200, for the reason that it names.
        """
        self._wire.start(deadline)
        kept = self._kept
        try:
            answer = self._ask(path)
        except PollError:
            self.close()
            self._wire.hang_up()
            raise
        return replace(answer, reconnected=kept and self._wire.opened)

    def _ask(self, path: str) -> Answer:
        try:
            return self._get(path)
        except requests.ConnectionError:
            # LocalAI may close an idle connection at the very moment of the question.
            if self._wire.opened or self._wire.received:
                raise PollError(Reason.PROTOCOL, "the connection broke before the answer was complete") from None
        self.close()
        try:
            return self._get(path)
        except requests.ConnectionError:
            raise PollError(Reason.PROTOCOL, "the connection broke before the answer was complete") from None

    def _get(self, path: str) -> Answer:
        try:
            # The timeout is the wire's; allow_redirects stays False beside _Session for whoever reads this line alone.
            response = self._session.get(self._url + path, stream=True, allow_redirects=False, timeout=None)
            with response:
                received_at = self._monotonic()
                _check_status(response.status_code)
                body = self._body(response)
                key = response.request.headers.get("Authorization", "").removeprefix("Bearer ")
                if repeats(body, key, self._wire.remaining):
                    raise PollError(Reason.SHAPE, "the answer repeats the API key")
        except requests.ConnectionError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            # Whatever the libraries say of it stays out: it quotes headers, and a header may hold the key.
            # ValueError: what http.client makes of a negative chunk length.
            raise PollError(Reason.PROTOCOL, "the answer does not keep to HTTP") from None
        headers = response.headers
        self._kept = headers.get("Connection", "").strip().lower() != "close" and response.raw.version == _HTTP_1_1
        media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(body, _date(headers.get("Date")), received_at, media_type)

    def _body(self, response: requests.Response) -> bytes:
        headers = response.headers
        if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise PollError(Reason.PROTOCOL, "the answer is in a content encoding that was not asked for")
        if headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
            raise PollError(Reason.PROTOCOL, "the answer is in a transfer encoding that is not chunked")
        length = headers.get("Content-Length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise PollError(Reason.PROTOCOL, "the answer has no usable Content-Length")
        # Eighteen digits are an exabyte; far longer ones make int() itself refuse.
        if length is not None and (len(length) > 18 or int(length) > self._limit):  # noqa: PLR2004
            raise self._too_large()
        # What frames the chunks is bounded too: a chunk's length, or the trailers, could go on for ever. An eighth more
        # is what chunks of 64 bytes take.
        self._wire.allow(self._limit + self._limit // 8 + _FRAMING_BYTES)
        body = io.BytesIO()  # a list of pieces would take forty bytes for each piece of one byte
        for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
            if body.tell() + len(piece) > self._limit:
                raise self._too_large()
            body.write(piece)
        if not body.tell() and length is None and "Transfer-Encoding" not in headers:
            # Only the connection's end tells where this body ends, and it may have come within the header.
            raise PollError(Reason.PROTOCOL, "the connection ended before the body began")
        return body.getvalue()

    def _too_large(self) -> PollError:
        return PollError(Reason.TOO_LARGE, f"the answer is larger than {self._limit} bytes")


def _check_status(status: int) -> None:
    if status == requests.codes.ok:
        return
    if status in (401, 403):
        raise PollError(Reason.AUTH, f"LocalAI does not accept the key, or wants one (status {status})", status)
    if status == requests.codes.proxy_authentication_required:
        raise PollError(Reason.HTTP_STATUS, "a proxy before LocalAI wants credentials (status 407)", status)
    if 300 <= status < 400:  # noqa: PLR2004 - the redirect class of RFC 9110
        raise PollError(Reason.REDIRECT, f"LocalAI points elsewhere (status {status}); no redirect is followed", status)
    raise PollError(Reason.HTTP_STATUS, f"LocalAI answered with status {status}", status)


def _date(text: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError, TypeError):
        return None
    # `-0000` comes back without a zone, and means UTC all the same.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
