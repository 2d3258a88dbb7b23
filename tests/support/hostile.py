"""A LocalAI that answers well, but for one endpoint that does one of the faults below.

Wherever it can it says the API key back, or, where that alone would be refused, another canary: nothing of an answer
must come to light.
"""

import base64
import copy
import gzip
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Self

from exporter.errors import Reason
from support import canaries
from support.acceptor import Acceptor, Peer
from support.localai import entry, p2p_entry, stats
from support.rawserver import chunked, ok

CAP = 2**20
"""The --localai.max-response-bytes of whoever meets these faults, in bytes."""

WORKERS, FEDERATION, STATS, P2P = "/api/p2p/workers", "/api/p2p/federation", "/api/p2p/stats", "/api/p2p"
VERSION, WELL_KNOWN, TOKEN = "/version", "/.well-known/localai.json", "/api/p2p/token"

LISTING = (WORKERS, FEDERATION, P2P)
READ = (WORKERS, FEDERATION, STATS, P2P)
"""What a poll cannot do without."""

ALL = (*READ, VERSION, WELL_KNOWN, TOKEN)

AGES = {"gpu-01-a": 0.0, "gpu-02-b": 600.0, "mac-01-c": 0.0, "gate-01-d": 0.0}
"""Every node of generation 3, and how many seconds ago it was seen; generation 1 has no MLX, and so not the third."""

GOOD_IDS = set(AGES)

Answers = dict[str, Any]

_KEY, _ECHO = canaries.KEY.encode(), canaries.BODY.encode()
_PAGE = b"<!DOCTYPE html><html>Authorization: Bearer %s</html>"

_NUMBERS = itertools.count()


def good_answers(now: float) -> Answers:
    """What LocalAI v4 says at `now`, in Unix seconds; bytes for what is no JSON."""
    seen, gone = (
        datetime.fromtimestamp(one, UTC).isoformat().replace("+00:00", "Z") for one in (now, now - AGES["gpu-02-b"])
    )
    workers = [entry("gpu-01-a", seen=seen), entry("gpu-02-b", seen=gone, online=False)]
    macs, gates = [entry("mac-01-c", seen=seen)], [entry("gate-01-d", seen=seen, tunnelAddress="")]
    return {
        WORKERS: {"llama_cpp": {"nodes": workers}, "mlx": {"nodes": macs}, "nodes": workers},
        FEDERATION: {"nodes": gates},
        STATS: stats(llama_cpp_workers=(2, 1), mlx_workers=(1, 1), federated=(1, 1)),
        P2P: {
            "llama_cpp_nodes": [p2p_entry("gpu-01-a", seen=seen), p2p_entry("gpu-02-b", seen=gone)],
            "mlx_nodes": [p2p_entry("mac-01-c", seen=seen)],
            "federated_nodes": [p2p_entry("gate-01-d", seen=seen)],
        },
        VERSION: {"version": "v4.7.1 ()"},
        WELL_KNOWN: {"version": "v4.7.1 ()", "capabilities": {"p2p": True}},
        TOKEN: canaries.TOKEN.encode(),
    }


def _generation_1(answers: Answers) -> Answers:
    p2p = answers[P2P]
    return {
        P2P: {"nodes": p2p["llama_cpp_nodes"], "federated_nodes": p2p["federated_nodes"]},
        VERSION: {"version": "v3.6.0 (8fb95686)"},
        TOKEN: answers[TOKEN],
    }


@dataclass(frozen=True)
class Question:
    """One request, and the good answer to it.

    Attributes:
        peer: who asks.
        path: for what.
        value: the good answer, as JSON's values; a fault may change it.
        date: the good `Date`.
    """

    peer: Peer
    path: str
    value: Any
    date: str

    @property
    def body(self) -> bytes:
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()

    def answer(self, body: bytes | None = None, *headers: str, date: str | None = None) -> None:
        """Send a 200, and leave the connection open."""
        dated = (f"Date: {self.date if date is None else date}",) if date != "" else ()
        usual = ("Content-Type: application/json", f"X-Echo: Bearer {canaries.KEY}", *dated)
        self.peer.send(ok(self.body if body is None else body, *usual, *headers))

    def lists(self) -> list[list[Any]]:
        """Every list of nodes in the answer."""
        value = self.value
        parts = [value] if self.path != WORKERS else [value["llama_cpp"], value["mlx"]]
        return [item for part in parts for item in part.values() if isinstance(item, list)]


Act = Callable[[Question], None]


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong.

    Attributes:
        row: the row of `faults.ROWS` that it plays.
        name: its own.
        act: answers.
        reason: why a poll that needs the answer fails; None where it is understood all the same.
        paths: where it can be played.
        whole: whether every good node is still there when the poll is understood.
    """

    row: str
    name: str
    act: Act
    reason: Reason | None
    paths: tuple[str, ...] = ALL
    whole: bool = True

    def __str__(self) -> str:
        return self.name

    def reason_at(self, path: str) -> Reason | None:
        """Why a poll fails where this is played at `path`."""
        # Without one of the three lists /api/p2p is asked, which answers.
        falls_back = self.row == "status-404" and path != P2P
        return self.reason if path in READ and not falls_back else None


def _end(peer: Peer) -> None:
    # FIN first: closing with unread bytes would be a reset.
    peer.sock.shutdown(socket.SHUT_WR)
    peer.wait_for_close()


def _sends(make: Callable[[bytes], bytes]) -> Act:
    def act(question: Question) -> None:
        question.peer.send(make(question.body))
        _end(question.peer)

    return act


def _says(sent: bytes) -> Act:
    return _sends(lambda _: sent)


def _then_nothing(sent: bytes) -> Act:
    def act(question: Question) -> None:
        question.peer.send(sent)
        question.peer.wait_for_close()

    return act


def _drips(head: bytes, drip: bytes) -> Act:
    def act(question: Question) -> None:
        question.peer.send(head)
        question.peer.drip(drip)

    return act


def _floods(head: bytes, flood: bytes) -> Act:
    def act(question: Question) -> None:
        question.peer.send(head)
        question.peer.flood(flood)

    return act


def _resets(question: Question) -> None:
    question.peer.send(ok(question.body)[:-1])
    question.peer.reset()
    question.peer.sock.close()


def _bodies(make: Callable[[bytes], bytes], *headers: str) -> Act:
    return lambda question: question.answer(make(question.body), *headers)


def _body(sent: bytes, *headers: str) -> Act:
    return _bodies(lambda _: sent, *headers)


def _member(text: bytes) -> Act:
    """Put one more member into the answer's object; the token has none."""
    before = b'{"%s": {}, ' % _ECHO
    return _bodies(lambda body: before + body[1:-1] + b"," + text + b"}" if body[:1] == b"{" else text)


def _dated(date: str) -> Act:
    return lambda question: question.answer(date=date)


def _changed(change: Callable[[Question], None]) -> Act:
    def act(question: Question) -> None:
        change(question)
        question.answer()

    return act


def _every_entry(**fields: Any) -> Act:
    """Set fields of one more entry in each list, spelled as the endpoint spells them."""
    spelled = {"id": "ID", "name": "Name", "lastSeen": "LastSeen", "serviceID": "ServiceID"}
    more = iter(range(10**9))

    def change(question: Question) -> None:
        for nodes in question.lists():
            number = next(more) % 1_000
            new = p2p_entry(f"odd-{number}") if question.path == P2P else entry(f"odd-{number}")
            nodes.append(
                new | {spelled.get(key, key) if question.path == P2P else key: text for key, text in fields.items()}
            )

    return _changed(change)


def _every_list(value: Any) -> Act:
    def change(question: Question) -> None:
        for nodes in question.lists():
            nodes[:] = value(nodes) if callable(value) else value

    return _changed(change)


def _instead_of_list(at: str, wrong: Any) -> Act:
    """Put something else where one list of the endpoint should stand; `...` takes it away."""

    def change(question: Question) -> None:
        *above, key = at.split(".")
        part = question.value
        for one in above:
            part = part[one]
        if wrong is ...:
            del part[key]
        else:
            part[key] = wrong

    return _changed(change)


def _count(field: str, wrong: Any) -> Act:
    def change(question: Question) -> None:
        question.value["llama_cpp_workers"][field] = wrong

    return _changed(change)


def _new_ids(question: Question) -> None:
    for nodes in question.lists():
        make = p2p_entry if question.path == P2P else entry
        nodes[:] = [make(f"pod-{next(_NUMBERS):016x}-x") for _ in range(100)]
    question.answer()


def _status(status: int, page: bytes, *headers: str) -> Act:
    lines = [f"HTTP/1.1 {status} {canaries.KEY}", f"Content-Length: {len(page)}", *headers, "", ""]
    return lambda question: question.peer.send("\r\n".join(lines).encode() + page)


def _list_places() -> Iterator[tuple[str, str]]:
    answers = good_answers(0.0)
    yield from ((WORKERS, place) for place in ("llama_cpp.nodes", "mlx.nodes"))
    for path in (FEDERATION, P2P):
        # What answers /api/p2p alone is generation 1.
        value = _generation_1(answers)[P2P] if path == P2P else answers[path]
        yield from ((path, key) for key in value)


def _faults_of_http() -> Iterator[Fault]:
    head = b"HTTP/1.1 200 OK\r\n"
    timeout, protocol, redirect = Reason.TIMEOUT, Reason.PROTOCOL, Reason.REDIRECT
    too_large, not_json = Reason.TOO_LARGE, Reason.NOT_JSON

    yield Fault("drip-body", "drip-body", _drips(head + b"Content-Length: 999\r\n\r\n", b"1"), timeout)
    yield Fault("drip-header", "drip-header", _drips(head, b"X-A: b\r\n"), timeout)
    yield Fault("drip-chunk", "drip-chunk", _drips(chunked()[:-5], b"1\r\n1\r\n"), timeout)
    yield Fault("endless-100", "endless-100", _drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), timeout)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    yield Fault("endless-103", "endless-103", _drips(b"", hints), timeout)
    yield Fault("endless-103", "endless-103-flood", _floods(b"", hints * 1_000), timeout)
    yield Fault("stall", "stall", _then_nothing(head + b"Content-Length: 999\r\n\r\n{"), timeout)
    yield Fault("no-reply", "no-reply", _then_nothing(b""), timeout)

    yield Fault("json-500-mb", "json-500-mb", _then_nothing(head + b"Content-Length: 524288000\r\n\r\n{"), too_large)
    chunks = _floods(chunked()[:-5], b"2710\r\n" + b" " * 10_000 + b"\r\n")
    yield Fault("json-500-mb", "json-500-mb-chunked", chunks, too_large)
    yield Fault("json-500-mb", "json-500-mb-until-close", _floods(head + b"\r\n", b" " * 65_536), too_large)
    yield Fault("length-bigger", "length-bigger", _sends(lambda body: ok(body + b" " * 9)[:-9]), protocol)
    yield Fault("length-smaller", "length-smaller", _sends(lambda body: ok(body[:-9]) + body[-9:]), not_json)
    yield Fault("length-negative", "length-negative", _says(head + b"Content-Length: -1\r\n\r\n{}"), protocol)
    twice = b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
    yield Fault("length-twice", "length-twice", _says(head + twice), protocol)

    bomb = gzip.compress(bytes(50 * CAP))
    yield Fault("gzip-bomb", "gzip-bomb", _body(bomb, "Content-Encoding: gzip"), protocol)
    moved = ok(bomb, "Content-Encoding: gzip", "Location: /").replace(b"200 OK", b"302 Found")
    yield Fault("gzip-bomb-302", "gzip-bomb-302", _says(moved), redirect)
    yield Fault("encoding-chain", "encoding-chain", _body(bomb, "Content-Encoding: gzip, br, gzip"), protocol)
    yield Fault("bad-gzip", "bad-gzip", _body(_KEY, "Content-Encoding: gzip"), protocol)

    for status in (301, 302, 303, 307, 308):
        yield Fault("redirect", f"redirect-{status}", _status(status, b"", f"Location: /?key={canaries.KEY}"), redirect)
    yield Fault("redirect-elsewhere", "redirect-elsewhere", _status(302, b"", "Location: http://[::1]:1/"), redirect)
    yield Fault("redirect-file", "redirect-file", _status(302, b"", "Location: file:///etc/passwd"), redirect)

    yield Fault("reset-mid-body", "reset-mid-body", _resets, protocol)
    yield Fault("cut-chunk", "cut-chunk", _sends(lambda body: chunked(body)[:-9]), protocol)
    yield Fault("http-0.9", "http-0.9", _sends(lambda body: body), protocol)
    old = b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    yield Fault("http-1.0", "http-1.0", _sends(lambda body: old + body), None)
    yield Fault("garbage", "garbage", _says(_KEY + bytes(range(256)) * 16), protocol)
    yield Fault("headers-101", "headers-101", _says(head + b"X: %s\r\n" % _KEY * 101 + b"\r\n{}"), protocol)

    hidden = head + b"%s\r\nContent-Encoding: gzip\r\n\r\n" % _ECHO
    yield Fault("header-line", "header-line", _sends(lambda body: hidden + body), protocol)
    yield Fault("interim", "interim", _sends(lambda body: hints * 3 + ok(body)), None)

    yield Fault("date-missing", "date-missing", _dated(""), None)
    yield Fault("date-garbage", "date-garbage", _dated(canaries.KEY), None)
    yield Fault("date-jump", "date-jump", _dated("Sun, 06 Nov 1994 08:49:37 GMT"), None)

    pages = {"empty": b"", "json": b'{"error":{"code":1,"message":"%s"}}' % _KEY, "html": _PAGE % _KEY}
    for (status, why), (name, page) in itertools.product(STATUSES.items(), pages.items()):
        yield Fault(f"status-{status}", f"status-{status}-{name}", _status(status, page, "Retry-After: 0"), why)


def _faults_of_json() -> Iterator[Fault]:
    not_json, shape = Reason.NOT_JSON, Reason.SHAPE

    yield Fault("empty-body", "empty-body", _body(b""), not_json)
    yield Fault("bom", "bom", _bodies(lambda body: b"\xef\xbb\xbf" + body), not_json)
    yield Fault("utf-16", "utf-16", _bodies(lambda body: body.decode().encode("utf-16")), not_json)
    yield Fault("html-200", "html-200", _body(_PAGE % _ECHO), not_json)
    yield Fault("invalid-utf-8", "invalid-utf-8", _member(b'"x": "\xff"'), not_json)

    yield Fault("deep-json", "deep-json", _member(b'"x": ' + b"[" * 100_000 + b"]" * 100_000), not_json)
    objects = b'{"x":' * 100_000 + b"1" + b"}" * 100_000
    yield Fault("deep-json", "deep-json-objects", _member(b'"x": ' + objects), not_json)
    yield Fault("nan", "nan", _member(b'"x": NaN'), not_json)
    yield Fault("infinity", "infinity", _member(b'"x": [-Infinity]'), not_json)
    yield Fault("float-overflow", "float-overflow", _member(b'"x": 1e999'), not_json)
    yield Fault("huge-integer", "huge-integer", _member(b'"x": ' + b"9" * 5_000), not_json)
    yield Fault("huge-integer", "huge-integer-400", _count("total", int("9" * 400)), shape, (STATS,))
    yield Fault("duplicate-keys", "duplicate-keys", _member(b'"x": 1, "x": 1'), not_json)
    counts: tuple[Any, ...] = (-1, 1.5, "1", None, True, [], {})
    for count in counts:
        yield Fault("bad-count", f"bad-count-{count}", _count("total", count), shape, (STATS,))
    yield Fault("online-over-total", "online-over-total", _count("online", 3), shape, (STATS,))
    yield Fault("hostile-json", "hostile-json", _member(b'"x": [' + b"{}," * 300_000 + b"{}]"), Reason.TOO_LARGE, READ)

    for path, place in _list_places():
        for wrong in (canaries.BODY, 2, {"a": 1}, True):
            name = f"{type(wrong).__name__}-for-{place}-of-{path}"
            yield Fault("list-of-another-type", name, _instead_of_list(place, wrong), shape, (path,))
        yield Fault("list-missing", f"no-{place}-of-{path}", _instead_of_list(place, ...), shape, (path,))
        yield Fault(
            "list-null", f"null-for-{place}-of-{path}", _instead_of_list(place, None), None, (path,), whole=False
        )
    for path in (*READ, VERSION, WELL_KNOWN):
        yield Fault("list-of-another-type", f"no-object-of-{path}", _body(b'["%s", 1]' % _ECHO), shape, (path,))

    for name, said in (
        ("key-echoed", canaries.KEY),
        ("key-echoed-in-base64", base64.b64encode(f"Bearer {canaries.KEY}".encode()).decode()),
    ):
        yield Fault("key-echoed", name, _every_entry(id=said, name=said), shape, LISTING)
        yield Fault("key-echoed", f"{name}-as-a-list", _member(b'"%s_nodes": []' % said.encode()), shape, READ)
        yield Fault("key-echoed", f"{name}-as-version", _body(b'{"version": "%s"}' % said.encode()), None, (VERSION,))
    escaped = "".join(f"\\u{ord(character):04x}" for character in canaries.KEY).encode()
    yield Fault("key-echoed", "key-echoed-escaped", _member(b'"%s_nodes": []' % escaped), shape, READ)

    bad: list[Any] = [None, 7, "gpu", [], {}, {"id": None, "ID": None}, {"id": "x", "ID": "x", "name": 7, "Name": 7}]
    yield Fault("bad-element", "bad-element", _every_list(lambda nodes: [*bad, *nodes, *bad]), None, LISTING)
    yield Fault("bad-element", "bad-element-online", _every_entry(isOnline="yes"), None, LISTING)

    for row, value in LAST_SEEN:
        yield Fault(row, f"last-seen-{value}", _every_entry(lastSeen=value), None, LISTING)
    for row, text in TEXTS:
        odd = _every_entry(id=text, name=text, serviceID=text)
        yield Fault(row, f"text-{text[:12]!a}", odd, None, LISTING)
    yield Fault("duplicate-ids", "duplicate-ids", _every_list(lambda nodes: nodes * 3), None, LISTING)
    yield Fault("id-in-two-roles", "id-in-two-roles", _every_entry(id="twin"), None, LISTING)
    yield Fault("changing-ids", "changing-ids", _new_ids, None, LISTING, whole=False)


STATUSES = {
    401: Reason.AUTH,
    403: Reason.AUTH,
    404: Reason.HTTP_STATUS,
    429: Reason.HTTP_STATUS,
    500: Reason.HTTP_STATUS,
    502: Reason.HTTP_STATUS,
    503: Reason.HTTP_STATUS,
}

LAST_SEEN = (
    ("last-seen-empty", ""),
    ("last-seen-integer", 1_800_000_000),
    ("last-seen-integer", None),
    ("last-seen-integer", [1]),
    ("last-seen-feb-30", "2026-02-30T00:00:00Z"),
    ("last-seen-second-60", "2026-11-22T23:59:60Z"),
    ("last-seen-year-10000", "10000-01-01T00:00:00Z"),
    ("last-seen-naive", "2026-11-22T12:00:00"),
    ("last-seen-lower-z", "2026-11-22T12:00:00z"),
    ("last-seen-nine-digits", "2026-11-22T12:00:00.123456789Z"),
    ("last-seen-offset", "2026-11-22T14:00:00+02:00"),
    ("last-seen-offset", "2026-11-22T06:30:00-05:30"),
    ("last-seen-zero-time", "0001-01-01T00:00:00Z"),
    ("last-seen-year-9999", "9999-12-31T23:59:59Z"),
)

TEXTS = (
    ("text-quotes", 'a"b\\"c'),
    ("text-quotes", '{a="b",c="d"} 1'),
    ("text-newline", "a\nb\r\nc\\n"),
    ("text-newline", "\n# TYPE x gauge\n"),
    ("text-nul", "a\0b"),
    ("text-surrogate", "a\ud800b"),
    ("text-bidi", "a\u202egpu\u2066\u200f"),
    ("text-long", "x" * 10_000),
    ("text-marks", '",{[]}:\\' * 1_250),
    ("text-empty", ""),
)

FAULTS = (*_faults_of_http(), *_faults_of_json())
CELLS = tuple((fault, path) for fault in FAULTS for path in fault.paths)
"""Every fault at every endpoint where it can be played."""


class Hostile:
    """Serves on a free loopback port; keeps nothing of the connections that have ended.

    Args:
        wall: its clock, in Unix seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._fault: tuple[Act, str] | None = None
        self._old = False
        self.requests = 0
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._acceptor = Acceptor(listener, lambda _: self._serve)

    def play(self, fault: Fault, path: str) -> None:
        """Play a fault at one endpoint from now on."""
        self._old = path == P2P
        self._fault = fault.act, path

    def behave(self, path: str) -> None:
        """Answer well from now on, in a generation that has this endpoint."""
        self._old = path == P2P
        self._fault = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.close()

    def _serve(self, peer: Peer) -> None:
        while request := peer.read_request():
            peer.requests.clear()
            self.requests += 1
            if not self._answer(peer, request.split()[1].decode()):
                return

    def _answer(self, peer: Peer, path: str) -> bool:
        """Answer one request, and tell whether the connection may serve the next one."""
        now = self._wall()
        answers = good_answers(now)
        if self._old:
            answers = _generation_1(answers)
        fault = self._fault
        question = Question(peer, path, copy.deepcopy(answers.get(path)), formatdate(now, usegmt=True))
        if fault and fault[1] == path and path in answers:
            fault[0](question)
            # Some faults leave the connection in the middle of an answer.
            return False
        if path in answers:
            question.answer()
        else:
            peer.send(ok(b"{}").replace(b"200 OK", b"404 Not Found"))
        return True
