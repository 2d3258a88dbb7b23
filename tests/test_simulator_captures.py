"""The simulator's answers against those of real LocalAI clusters, byte for byte."""

import calendar
import json
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
from support.captures import CAPTURES, FLEETS, Capture, capture

from exporter.model import FEDERATED, LLAMA_CPP, MLX
from exporter.simulator import RELEASES, Entry, Request, Settings, answer
from exporter.simulator.answers import FLEET_PATHS, PATHS
from exporter.simulator.fleet import Listing, Member, Plan, Replica

KINDS = {"nodes": LLAMA_CPP, "llama_cpp_nodes": LLAMA_CPP, "mlx_nodes": MLX, "federated_nodes": FEDERATED}
SENT_KEY = "<key>"  # what the captures' facts have in place of the key that was sent
KEYS: dict[str, tuple[str | None, str | None]] = {
    "key-right": (SENT_KEY, None),
    "key-wrong": ("another", None),
    "key-missing": ("another", None),
    "key-missing-no-content-type": ("another", None),
    "accounts-admin-key": (SENT_KEY, "reader's"),
    "accounts-reader-key": ("admin's", SENT_KEY),
    "accounts-no-key": ("admin's", "reader's"),
}


def date(answered: bytes) -> float:
    match = re.search(rb"\r\nDate: ([^\r]+)", answered)
    assert match
    return parsedate_to_datetime(match[1].decode()).timestamp()


def nanoseconds(stamp: str) -> int:
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction.ljust(9, "0"))


def entries(shown: Capture) -> Iterator[Entry]:
    if not shown.raw("p2p").startswith(b"HTTP/1.1 200 "):
        return
    for list_name, nodes in json.loads(shown.body("p2p")).items():
        for node in nodes:
            host = node["ID"].removesuffix(f"-{node['Name']}")
            seen = nanoseconds(node["LastSeen"])
            yield Entry(KINDS[list_name], host, node["Name"], node["TunnelAddress"], seen)


def settings(shown: Capture) -> Settings:
    key, reader_key = KEYS.get(shown.folder.name, (None, None))
    return Settings(
        release=RELEASES[shown.facts["release"]],
        webui=shown.facts.get("webui", True),
        p2p=shown.facts["p2p"],
        key=key,
        reader_key=reader_key,
        token=shown.body("token").decode(),
    )


def test_every_release_and_scenario_is_compared() -> None:
    compared = {release: sum(shown.facts["release"] == release for shown in CAPTURES) for release in RELEASES}
    assert compared == {"v3.6.0": 12, "v3.12.1": 12, "v4.7.1": 18}


@pytest.mark.parametrize("path", [path for path in PATHS if path not in FLEET_PATHS])
@pytest.mark.parametrize("shown", CAPTURES, ids=str)
def test_answers_as_localai_did(shown: Capture, path: str) -> None:
    expected = shown.raw(PATHS[path])
    headers = {name.lower(): value for name, value in shown.facts["request_headers"].items()}
    request = Request(path, headers, close=True)

    assert answer(request, settings(shown), list(entries(shown)), date(expected)) == expected


def microseconds(stamp: str) -> int:
    return nanoseconds(stamp) // 1_000


def listing(fleet: Capture) -> Listing:
    nodes, models, plans = (json.loads(fleet.body(name)) for name in ("nodes", "nodes-models", "nodes-scheduling"))
    return Listing(
        [
            Member(
                id=node["id"],
                name=node["name"],
                address=node["address"],
                http_address=node["http_address"],
                status=node["status"],
                vram=(node["total_vram"], node["available_vram"]),
                ram=(node["total_ram"], node["available_ram"]),
                gpu=(node["gpu_vendor"], node["gpu_compute_capability"]),
                last_heartbeat=microseconds(node["last_heartbeat"]),
                created_at=microseconds(node["created_at"]),
                updated_at=microseconds(node["updated_at"]),
                models=node["model_count"],
                in_flight=node["in_flight_count"],
            )
            for node in nodes
        ],
        [
            Replica(
                id=model["id"],
                node_id=model["node_id"],
                model=model["model_name"],
                index=model["replica_index"],
                address=model["address"],
                in_flight=model["in_flight"],
                last_used=microseconds(model["last_used"]),
                created_at=microseconds(model["created_at"]),
                updated_at=microseconds(model["updated_at"]),
            )
            for model in models
        ],
        [
            Plan(
                id=plan["id"],
                model=plan["model_name"],
                least=plan["min_replicas"],
                most=plan["max_replicas"],
                ticks=plan["unsatisfiable_ticks"],
                created_at=microseconds(plan["created_at"]),
                updated_at=microseconds(plan["updated_at"]),
            )
            for plan in plans
        ],
    )


@pytest.mark.parametrize("path", [*FLEET_PATHS, "/api/p2p", "/api/p2p/stats", "/.well-known/localai.json"])
@pytest.mark.parametrize("fleet", FLEETS, ids=str)
def test_answers_in_distributed_mode_as_localai_did(fleet: Capture, path: str) -> None:
    expected = fleet.raw(PATHS[path])
    may_ask = fleet.facts["status"]["nodes"] == 200
    headers = {"content-type": "application/json", "authorization": f"Bearer {SENT_KEY if may_ask else ''}"}
    chosen = Settings(p2p=False, distributed=True, key=SENT_KEY)
    listed = listing(fleet) if may_ask else Listing()
    assert answer(Request(path, headers, close=True), chosen, [], date(expected), listed) == expected


@pytest.mark.parametrize("path", FLEET_PATHS)
def test_without_distributed_mode_its_routes_are_missing(path: str) -> None:
    missing = answer(Request("/api/nowhere"), Settings(), [], 0)
    assert answer(Request(path), Settings(), [], 0) == missing
    old = RELEASES["v3.12.1"]
    assert answer(Request(path), Settings(old, distributed=True), [], 0) == answer(
        Request("/api/nowhere"), Settings(old), [], 0
    )


@pytest.mark.parametrize("path", FLEET_PATHS)
def test_distributed_mode_is_for_admins(path: str) -> None:
    chosen = Settings(distributed=True, key="admin's", reader_key="reader's")
    for key, status in (("admin's", b"200"), ("reader's", b"403"), ("", b"401")):
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        assert answer(Request(path, headers), chosen, [], 0).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("release", RELEASES)
def test_the_connection_stays_open_unless_the_client_ends_it(release: str) -> None:
    chosen = Settings(release=RELEASES[release])
    for path in PATHS:
        closing = answer(Request(path, close=True), chosen, [], 0)
        assert answer(Request(path), chosen, [], 0) == closing.replace(b"Connection: close\r\n", b"")
        assert closing.count(b"Connection: close\r\n") == 1


@pytest.mark.parametrize("release", RELEASES)
def test_head_is_answered_with_the_head_of_get(release: str) -> None:
    chosen = Settings(release=RELEASES[release])
    for path in [*PATHS, "/nowhere"]:
        head = answer(Request(path, method="HEAD"), chosen, [], 0)
        assert head == answer(Request(path), chosen, [], 0).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@pytest.mark.parametrize("release", RELEASES)
def test_an_unknown_path_is_answered_as_a_route_that_the_release_lacks(release: str) -> None:
    expected = capture(release, "no-webui").raw("workers")
    assert answer(Request("/api/p3p", close=True), Settings(release=RELEASES[release]), [], date(expected)) == expected


def test_v4_gives_a_browser_its_web_page_for_an_unknown_path() -> None:
    browser = Request("/localai/api/p2p", {"accept": "text/html,*/*"})
    assert b"200 OK\r\n" in answer(browser, Settings(), [], 0)
    assert b"Content-Type: text/html; charset=UTF-8\r\n" in answer(browser, Settings(), [], 0)
    client = Request("/localai/api/p2p", {"accept": "text/html,*/*", "content-type": "application/json"})
    for request, chosen in (
        (client, Settings()),
        (browser, Settings(webui=False)),
        (browser, Settings(release=RELEASES["v3.12.1"])),
    ):
        assert b"404 Not Found\r\n" in answer(request, chosen, [], 0)


def test_v4_asks_for_the_key_below_api_only() -> None:
    chosen = Settings(key="secret")
    assert b" 401 " in answer(Request("/api/nowhere"), chosen, [], 0).splitlines()[0]
    assert b" 404 " in answer(Request("/nowhere"), chosen, [], 0).splitlines()[0]
    assert b" 401 " in answer(Request("/nowhere"), Settings(RELEASES["v3.12.1"], key="secret"), [], 0).splitlines()[0]


def test_a_query_and_a_trailing_slash_do_not_change_the_route() -> None:
    plain = answer(Request("/api/p2p/stats"), Settings(), [], 0)
    assert answer(Request("/api/p2p/stats/?now=1"), Settings(), [], 0) == plain


def test_other_methods_are_refused() -> None:
    assert answer(Request("/api/p2p", method="POST"), Settings(), [], 0).startswith(
        b"HTTP/1.1 405 Method Not Allowed\r\n"
    )


@pytest.mark.parametrize(
    ("stamp", "written"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_381_564_523_026_962, "2026-11-22T21:06:04.523026962Z"),
        (1_795_381_562_676_035_310, "2026-11-22T21:06:02.67603531Z"),
        (1_795_381_562_000_000_001, "2026-11-22T21:06:02.000000001Z"),
        (1_795_381_562_500_000_000, "2026-11-22T21:06:02.5Z"),
    ],
)
def test_last_seen_is_written_as_go_does(stamp: int, written: str) -> None:
    entry = Entry(FEDERATED, "gateway", "abcdefghij", "", stamp)
    assert f'"LastSeen":"{written}"}}'.encode() in answer(Request("/api/p2p"), Settings(), [entry], 0)


def test_a_host_name_is_escaped_as_go_does() -> None:
    entry = Entry(LLAMA_CPP, 'a<b>&"ü', "abcdefghij", "127.0.0.1:1", 0)
    assert '"id":"a\\u003cb\\u003e\\u0026\\"ü-abcdefghij"'.encode() in answer(
        Request("/api/p2p/workers"), Settings(), [entry], 0
    )


def test_what_is_longer_than_gos_buffer_comes_in_one_chunk_and_what_fits_has_a_length() -> None:
    def split(token: str, release: str) -> tuple[bytes, bytes]:
        head, _, rest = answer(Request("/api/p2p/token"), Settings(RELEASES[release], token=token), [], 0).partition(
            b"\r\n\r\n"
        )
        return head, rest

    fits, longer = "x" * 2048, "x" * 2049
    assert b"Content-Length: 2048" in split(fits, "v4.7.1")[0]
    head, rest = split(longer, "v4.7.1")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert rest == b"801\r\n" + longer.encode() + b"\r\n0\r\n\r\n"
    assert b"Content-Length: 2049" in split(longer, "v3.6.0")[0]


def test_one_who_is_no_admin_is_told_of_a_route_that_is_missing() -> None:
    chosen = Settings(webui=False, key="admin's", reader_key="reader's")
    headers = {"authorization": "Bearer reader's"}
    assert answer(Request("/api/p2p/stats", headers), chosen, [], 0).startswith(b"HTTP/1.1 404 ")
    assert answer(Request("/api/p2p", headers), chosen, [], 0).startswith(b"HTTP/1.1 403 ")
