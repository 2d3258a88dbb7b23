import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.processes import Answers, Peer, date_of, nobody, recorded, replaying, response, run, silence, without_date

from exporter.clock import Clock
from exporter.doctor import CLOCK_TOLERANCE_SECONDS, POLLS, Report, examine
from exporter.finding import Finding, Severity
from exporter.settings import Secret, Target

OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL

KEY = Secret("sk-canary-7f3a")

CLUSTER = "v4.7.1/cluster"


def clock_at(wall: float) -> Clock:
    """A clock that runs, but whose wall time stands where the capture was taken."""
    return Clock(wall=lambda: wall, monotonic=time.monotonic, awake=time.monotonic)


def examined(answers: Answers, ahead: float = 0.0, **target: Any) -> Report:
    """Examine a LocalAI that answers so, on a machine whose clock is this far ahead of it."""
    with replaying(answers) as peer:
        return examine(Target(url=peer.url, **target), clock_at(date_of(answers) + 0.5 + ahead))


def verdicts(report: Report) -> list[tuple[str, Severity]]:
    return [(finding.check, finding.severity) for finding in report.findings]


def only(report: Report, check: str, severity: Severity) -> Finding:
    """Return the one finding of this check and severity."""
    (finding,) = (one for one in report.findings if (one.check, one.severity) == (check, severity))
    return finding


def in_order(*, api: str, p2p: str, nodes: str, key: str = "none is given, and none is wanted") -> list[Finding]:
    return [
        Finding("reachable", OK, "something answers in HTTP"),
        Finding("key", OK, key),
        Finding("api", OK, api),
        Finding("p2p", OK, p2p),
        Finding("nodes", OK, nodes),
        Finding("clock", OK, "LocalAI's is within 5 s of this machine's"),
        Finding("instance", OK, "4 polls over new connections reached the same one"),
    ]


UNSAID = "LocalAI does not say whether it is on, but it lists nodes"
LISTS = "workers+federation+stats"


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        (
            "v3.6.0/cluster",
            in_order(
                api="LocalAI v3.6.0 (8fb95686), API generation 1, read from p2p",
                p2p=UNSAID,
                nodes="worker/llama_cpp 3 of 3 online, federated 2 of 2 online",
            ),
        ),
        (
            "v3.12.1/cluster",
            in_order(
                api=f"LocalAI v3.12.1 (fcecc12e), API generation 2, read from {LISTS}",
                p2p=UNSAID,
                nodes="worker/llama_cpp 3 of 3 online, federated 2 of 2 online",
            ),
        ),
        (
            "v4.7.1/cluster",
            in_order(
                api=f"LocalAI v4.7.1 (), API generation 3, read from {LISTS}",
                p2p="on",
                nodes="worker/llama_cpp 3 of 3 online, worker/mlx 1 of 1 online, federated 2 of 2 online",
            ),
        ),
        (
            "v4.7.1/loss-65s",
            in_order(
                api=f"LocalAI v4.7.1 (), API generation 3, read from {LISTS}",
                p2p="on",
                nodes="worker/llama_cpp 2 of 3 online, worker/mlx 1 of 1 online, federated 2 of 2 online",
            ),
        ),
    ],
)
def test_a_cluster_is_in_order(name: str, findings: list[Finding]) -> None:
    report = examined(recorded(name))
    assert list(report.findings) == findings
    assert report.severity == OK
    assert report.as_text().splitlines()[:2] == ["LOCALAI P2P OK: everything is in order", f"asked: {report.url}"]


def test_a_key_that_is_accepted_says_so() -> None:
    report = examined(recorded("v4.7.1/key-right"), api_key=KEY)
    assert only(report, "key", OK).message == "accepted"


@pytest.mark.parametrize("release", ["v3.12.1", "v4.7.1"])
def test_a_web_ui_that_is_off_is_explained_and_no_fault(release: str) -> None:
    report = examined(recorded(f"{release}/no-webui"))
    api = only(report, "api", OK)
    assert api.message.endswith("read from p2p")
    assert api.advice == (
        "The web UI is off (LOCALAI_DISABLE_WEBUI), and LocalAI gives no verdict: the exporter applies the "
        "40-second rule itself. Nothing is lost."
    )
    assert report.severity == OK


def test_the_oldest_generation_has_no_lists_to_miss() -> None:
    assert only(examined(recorded("v3.6.0/no-webui")), "api", OK).advice == ""


@pytest.mark.parametrize(
    ("name", "generation", "source"),
    [("v4.7.1/cluster", "3", LISTS), ("v3.12.1/cluster", "2", LISTS), ("v3.6.0/cluster", "1-2", "p2p")],
)
def test_a_version_that_is_not_said(name: str, generation: str, source: str) -> None:
    report = examined(recorded(name) | {"/version": response("", "404 Not Found")})
    message = f"LocalAI does not say its version, API generation {generation}, read from {source}"
    assert only(report, "api", OK) == Finding("api", OK, message)
    assert report.severity == OK


WANTS_KEY = "LocalAI wants a key: give it by --localai.api-key-file or the variable LOCALAI_API_KEY."
WRONG_KEY = "LocalAI does not know this key: compare it with LocalAI's own LOCALAI_API_KEY."
NO_ADMIN = "With user accounts on (v4.1 and newer) the P2P API wants an admin's key; v2.21 to v2.23 refuse any key so."


@pytest.mark.parametrize(
    ("name", "key", "status", "advice"),
    [
        ("v3.6.0/key-missing", None, 401, WANTS_KEY),
        ("v3.12.1/key-missing", None, 401, WANTS_KEY),
        ("v3.12.1/key-missing-no-content-type", None, 401, WANTS_KEY),
        ("v4.7.1/key-missing", None, 401, WANTS_KEY),
        ("v4.7.1/accounts-no-key", None, 401, WANTS_KEY),
        ("v3.6.0/key-wrong", KEY, 401, WRONG_KEY),
        ("v3.12.1/key-wrong", KEY, 401, WRONG_KEY),
        ("v4.7.1/key-wrong", KEY, 401, WRONG_KEY),
        ("v4.7.1/accounts-reader-key", KEY, 403, NO_ADMIN),
    ],
)
def test_a_key_that_is_not_accepted(name: str, key: Secret | None, status: int, advice: str) -> None:
    report = examined(recorded(name), api_key=key)
    message = f"LocalAI does not accept the key, or wants one (status {status})"
    assert list(report.findings) == [
        Finding("reachable", OK, "something answers in HTTP"),
        Finding("key", CRITICAL, message, advice),
    ]
    assert report.as_text().splitlines()[0] == f"LOCALAI P2P CRITICAL: {message}"


@pytest.mark.parametrize(
    ("name", "collect_token", "message"),
    [
        ("v3.6.0/p2p-off", False, "LocalAI does not say whether it is on, and lists no node"),
        ("v3.6.0/p2p-off", True, "off: LocalAI has no join token"),
        ("v3.12.1/p2p-off", False, "LocalAI does not say whether it is on, and lists no node"),
        ("v3.12.1/p2p-off", True, "off: LocalAI has no join token"),
        ("v4.7.1/p2p-off", False, "off: LocalAI has no join token"),
        ("v4.7.1/p2p-off", True, "off: LocalAI has no join token"),
    ],
)
def test_p2p_that_is_off(name: str, collect_token: bool, message: str) -> None:
    report = examined(recorded(name), collect_token=collect_token)
    finding = only(report, "p2p", WARNING)
    assert finding.message == message
    assert "--p2p" in finding.advice
    assert report.severity == WARNING
    if not message.startswith("off"):
        assert finding.advice.endswith(
            "With --collector.token the exporter finds out by whether there is a join token."
        )


def test_the_token_is_asked_for_on_demand_only_and_shown_as_a_fingerprint() -> None:
    answers = recorded(CLUSTER)
    token = answers["/api/p2p/token"].partition(b"\r\n\r\n")[2].strip().decode()
    assert len(token) > 100
    with replaying(answers) as peer:
        examine(Target(url=peer.url), clock_at(date_of(answers)))
        assert "/api/p2p/token" not in peer.paths
        report = examine(Target(url=peer.url, collect_token=True), clock_at(date_of(answers)))
        assert "/api/p2p/token" in peer.paths
    assert re.fullmatch("on, network [0-9a-f]{16}", only(report, "p2p", OK).message)
    assert token not in report.as_text() + report.as_json()


def test_nodes_whose_clock_runs_ahead() -> None:
    report = examined(recorded("v4.7.1/clock-skew"))
    finding = only(report, "clock", WARNING)
    assert finding.message == "nodes whose clock runs ahead of LocalAI's: fast-clock"
    assert finding.advice == "Let them keep time by NTP: LocalAI calls such a node online long after it has died."
    assert report.severity == WARNING


def listing(body: Mapping[str, object]) -> dict[str, bytes]:
    """Return the answers of a LocalAI of generation 1 that lists these nodes, at the time of its capture."""
    answers = recorded("v3.6.0/cluster")
    date = answers["/api/p2p"].partition(b"\r\n")[2].partition(b"Content-Type")[0].decode()
    return answers | {"/api/p2p": response(json.dumps(body), headers=date)}


@pytest.mark.parametrize(("count", "more"), [(5, ""), (6, " and 1 more"), (7, " and 2 more")])
def test_of_many_fast_nodes_five_are_named(count: int, more: str) -> None:
    fast = [
        {
            "ID": f"host-{number}-n",
            "Name": "n",
            "LastSeen": "2026-11-23T00:00:00Z",
            "TunnelAddress": "",
            "ServiceID": "",
        }
        for number in range(count)
    ]
    answers = listing({"nodes": fast, "federated_nodes": None})
    message = f"nodes whose clock runs ahead of LocalAI's: host-0, host-1, host-2, host-3, host-4{more}"
    assert only(examined(answers), "clock", WARNING).message == message


@pytest.mark.parametrize(
    ("ahead", "severity", "message"),
    [
        (0.0, OK, "LocalAI's is within 5 s of this machine's"),
        (CLOCK_TOLERANCE_SECONDS - 1, OK, "LocalAI's is within 5 s of this machine's"),
        (-CLOCK_TOLERANCE_SECONDS + 2, OK, "LocalAI's is within 5 s of this machine's"),
        (600.0, WARNING, "LocalAI's clock is 600 s behind this machine's"),
        (-600.0, WARNING, "LocalAI's clock is 600 s ahead of this machine's"),
    ],
)
def test_clocks_apart(ahead: float, severity: Severity, message: str) -> None:
    report = examined(recorded(CLUSTER), ahead)
    assert only(report, "clock", severity).message == message
    assert report.severity == severity


def test_no_answer_carries_a_date() -> None:
    answers = recorded(CLUSTER)
    with replaying(without_date(answers)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(answers)))
    finding = only(report, "clock", WARNING)
    assert finding.message == "no answer carries a Date: ages are computed with this machine's clock"
    assert finding.advice == "A proxy before LocalAI removes the header: let it pass."
    assert report.severity == WARNING


def everywhere(answer: bytes) -> Callable[[str], bytes]:
    return lambda _: answer


NO_API = "No P2P API is at this URL: check its path. Releases before v3.2 have one only when built with the tag p2p."
NOT_THE_API = "Not LocalAI's API answers here but, say, its web page or a proxy's: check the path in --localai.url."
NOT_HTTP = "Check that the port in --localai.url is LocalAI's; for a TLS port the URL has to begin with https."
HTML = response("<!DOCTYPE html><html></html>", headers="Content-Type: text/html\r\n")


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        pytest.param(
            HTML,
            [("reachable", OK, "something answers in HTTP", ""), ("api", CRITICAL, None, NOT_THE_API)],
            id="html-at-200",
        ),
        pytest.param(
            response("{}", "404 Not Found"),
            [
                ("reachable", OK, "something answers in HTTP", ""),
                ("api", CRITICAL, "LocalAI answered with status 404", NO_API),
            ],
            id="404-everywhere",
        ),
        pytest.param(
            response("{}", "500 Internal Server Error"),
            [
                ("reachable", OK, "something answers in HTTP", ""),
                (
                    "api",
                    CRITICAL,
                    "LocalAI answered with status 500",
                    "LocalAI's P2P subsystem is not available, or failed: look at LocalAI's log.",
                ),
            ],
            id="500",
        ),
        pytest.param(
            response("", "502 Bad Gateway"),
            [
                ("reachable", OK, "something answers in HTTP", ""),
                (
                    "api",
                    CRITICAL,
                    "LocalAI answered with status 502",
                    "LocalAI, or a proxy before it, cannot answer now: look at its log.",
                ),
            ],
            id="502",
        ),
        pytest.param(
            response("", "503 Service Unavailable"),
            [("reachable", CRITICAL, "LocalAI is still starting", "Wait, and look at its log.")],
            id="503",
        ),
        pytest.param(
            response("", "301 Moved Permanently", "Location: https://elsewhere.invalid/\r\n"),
            [
                (
                    "reachable",
                    CRITICAL,
                    "LocalAI points elsewhere (status 301); no redirect is followed",
                    "Put the URL that it points to into --localai.url: often the same one with https.",
                )
            ],
            id="redirect",
        ),
        pytest.param(
            b"SSH-2.0-OpenSSH_9.2\r\n",
            [
                (
                    "reachable",
                    CRITICAL,
                    None,
                    NOT_HTTP,
                )
            ],
            id="not-http",
        ),
        pytest.param(
            response('{"nodes": 5}'),
            [
                ("reachable", OK, "something answers in HTTP", ""),
                (
                    "api",
                    CRITICAL,
                    None,
                    "No known release of LocalAI answers so. Is this LocalAI? If it is, please report its version.",
                ),
            ],
            id="another-shape",
        ),
    ],
)
def test_what_is_no_localai(answer: bytes, findings: list[tuple[str, Severity, str | None, str]]) -> None:
    with Peer(everywhere(answer)) as peer:
        report = examine(Target(url=peer.url), Clock.system())
    assert [(one.check, one.severity, one.advice) for one in report.findings] == [
        (check, severity, advice) for check, severity, _, advice in findings
    ]
    for found, (_, _, message, _) in zip(report.findings, findings, strict=True):
        assert found.message == message or message is None
    assert report.severity == CRITICAL


def test_nothing_listens() -> None:
    with nobody() as url:
        report = examine(Target(url=url), Clock.system())
    (finding,) = report.findings
    port = url.rpartition(":")[2]
    assert (finding.check, finding.severity) == ("reachable", CRITICAL)
    assert finding.message == f"no connection to port {port} (ECONNREFUSED)"
    assert finding.advice.startswith("Check that LocalAI runs")


def test_what_hangs_is_given_up_at_the_deadline() -> None:
    with silence() as url:
        began = time.monotonic()
        report = examine(Target(url=url, poll_timeout=0.2), Clock.system())
        assert time.monotonic() - began < 2
    (finding,) = report.findings
    assert (finding.check, finding.severity) == ("reachable", CRITICAL)
    assert finding.message == "the deadline passed before the answer was complete"


def test_tls_where_there_is_none() -> None:
    with replaying({}) as peer:
        report = examine(Target(url=peer.url.replace("http:", "https:")), Clock.system())
    (finding,) = report.findings
    assert (finding.check, finding.severity) == ("reachable", CRITICAL)
    assert "TLS" in finding.message


def test_tls_that_hangs() -> None:
    with silence() as url:
        report = examine(Target(url=url.replace("http:", "https:"), poll_timeout=0.2), Clock.system())
    (finding,) = report.findings
    assert (finding.check, finding.severity) == ("reachable", CRITICAL)
    assert finding.message == "the deadline passed before the answer was complete"


def in_turn(one: Answers, other: Answers) -> Callable[[str], bytes]:
    """Answer as a balancer does that gives each poll to the other instance; a poll begins with the workers."""
    turns = itertools.cycle((one, other))
    current = one

    def answer(path: str) -> bytes:
        nonlocal current
        if path == "/api/p2p/workers":
            current = next(turns)
        return current[path]

    return answer


SEVERAL = "from one poll to the next: a load balancer stands before several instances"
ONE_EACH = "Point --localai.url at one instance, and run an exporter, or a target, for each."


@pytest.mark.parametrize("release", ["v3.6.0", "v3.12.1", "v4.7.1"])
def test_two_instances_that_take_turns(release: str) -> None:
    one, other = recorded(f"{release}/cluster"), recorded(f"{release}/cluster-seen-from-2")
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(one)))
    finding = only(report, "instance", WARNING)
    assert finding.message == f"tunnel addresses change {SEVERAL}"
    assert finding.advice == ONE_EACH
    assert report.severity == WARNING


def test_instances_that_list_other_nodes() -> None:
    one, other = recorded("v4.7.1/alone"), recorded("v4.7.1/key-right")
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(one)))
    assert only(report, "instance", WARNING).message == f"nodes are forgotten {SEVERAL}"


def test_an_instance_whose_view_is_older() -> None:
    one = recorded("v4.7.1/alone")
    federation = one["/api/p2p/federation"]
    other = one | {
        "/api/p2p/federation": re.sub(rb'"lastSeen":"2026-11-22T21', b'"lastSeen":"2026-11-22T20', federation)
    }
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(one)))
    assert only(report, "instance", WARNING).message == f"last-seen times step back {SEVERAL}"


def test_instances_of_two_releases_that_take_turns() -> None:
    one = recorded("v4.7.1/p2p-off")
    other = recorded("v3.12.1/p2p-off")
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(one)))
    assert only(report, "instance", WARNING).message == f"the version changes {SEVERAL}"


def test_instances_of_two_networks_that_take_turns() -> None:
    one = recorded("v4.7.1/alone")
    other = one | {"/api/p2p/token": recorded("v3.12.1/alone")["/api/p2p/token"]}
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url, collect_token=True), clock_at(date_of(one)))
    assert only(report, "instance", WARNING).message == f"the network changes {SEVERAL}"


@pytest.mark.parametrize("path", ["/version", "/api/p2p/token"])
def test_an_answer_that_fails_now_and_then_is_no_second_instance(path: str) -> None:
    one = recorded(CLUSTER)
    other = one | {path: response("", "502 Bad Gateway")}
    with Peer(in_turn(one, other)) as peer:
        report = examine(Target(url=peer.url, collect_token=True), clock_at(date_of(one)))
    assert peer.paths.count(path) == POLLS
    assert only(report, "instance", OK).message == "4 polls over new connections reached the same one"


def test_a_poll_that_fails_after_a_good_one() -> None:
    answers = recorded(CLUSTER)
    broken = {path: response("", "502 Bad Gateway") for path in answers}
    with Peer(in_turn(answers, broken)) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(answers) + 0.5))
    assert verdicts(report) == [
        ("reachable", OK),
        ("api", CRITICAL),
        ("key", OK),
        ("api", OK),
        ("p2p", OK),
        ("nodes", OK),
        ("clock", OK),
    ]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"expected": {"worker": 5}}, "4 nodes of role worker are online, 5 are expected"),
        ({"expected": {"federated": 3}}, "2 nodes of role federated are online, 3 are expected"),
        (
            {"expected_hosts": ("rack1-gpu-01", "rack1-gpu-02", "RACK1-GPU-01")},
            "expected hosts without an online node: rack1-gpu-02, RACK1-GPU-01",
        ),
    ],
    ids=["workers", "federated", "hosts"],
)
def test_what_is_expected_and_missing(target: Mapping[str, Any], message: str) -> None:
    report = examined(recorded(CLUSTER), **target)
    finding = only(report, "nodes", WARNING)
    assert finding.message == message
    assert finding.advice
    assert report.severity == WARNING


def test_what_is_expected_and_there() -> None:
    hosts = ("rack1-gpu-01", "rack1-gpu-02.lab.internal", "mac-studio", "gateway-1")
    report = examined(recorded(CLUSTER), expected={"worker": 4, "federated": 2}, expected_hosts=hosts)
    assert report.severity == OK


def test_an_offline_node_does_not_stand_for_its_host() -> None:
    answers = recorded("v4.7.1/only-the-gateway-left")
    report = examined(answers, expected={"worker": 2}, expected_hosts=("rack1-gpu-01", "mac-studio", "gateway-1"))
    assert [one.message for one in report.findings if (one.check, one.severity) == ("nodes", WARNING)] == [
        "1 nodes of role worker are online, 2 are expected",
        "expected hosts without an online node: rack1-gpu-01",
    ]


@pytest.mark.parametrize(
    ("name", "body", "listed"),
    [
        (
            "v4.7.1/no-webui",
            {"llama_cpp_nodes": [], "mlx_nodes": [], "federated_nodes": [], "vllm_nodes": []},
            "vllm_nodes",
        ),
        ("v3.6.0/cluster", {"nodes": [], "federated_nodes": [], "x_nodes": [], "y_nodes": []}, "x_nodes, y_nodes"),
    ],
    ids=["generation-3", "generation-1"],
)
def test_a_list_that_nobody_knows(name: str, body: Mapping[str, object], listed: str) -> None:
    answers = recorded(name)
    with replaying(answers | {"/api/p2p": response(json.dumps(body))}) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(answers)))
    finding = only(report, "api", WARNING)
    assert finding.message.endswith(f"read from p2p; it also lists {listed}, which this exporter does not know")
    assert finding.advice == "Look for a newer release of the exporter."


def test_entries_that_cannot_be_used() -> None:
    node = {"ID": "a-n", "Name": "n", "LastSeen": "2026-11-22T20:55:39Z"}
    answers = recorded("v3.6.0/cluster")
    body = json.dumps({"nodes": [node, node, 5], "federated_nodes": []})
    with replaying(answers | {"/api/p2p": response(body)}) as peer:
        report = examine(Target(url=peer.url), clock_at(date_of(answers)))
    finding = only(report, "nodes", WARNING)
    assert finding.message == "2 entries cannot be used"
    assert finding.advice == "See localai_p2p_entries_dropped."


def test_careless_settings_are_said_first() -> None:
    answers = recorded(CLUSTER)
    report = examined(answers, tls_insecure=True)
    message = "LocalAI's certificate is not checked: whoever stands between can read the API key"
    assert report.findings[0] == Finding("settings", WARNING, message)
    assert report.severity == WARNING
    assert report.as_text().splitlines()[0] == f"LOCALAI P2P WARNING: {message}"


def test_the_text_puts_the_worst_finding_first() -> None:
    report = Report(
        "http://x",
        (
            Finding("reachable", OK, "it is"),
            Finding("clock", WARNING, "late", "Set it."),
            Finding("key", CRITICAL, "wrong", "Right it."),
        ),
    )
    assert report.as_text() == (
        "LOCALAI P2P CRITICAL: wrong\n"
        "asked: http://x\n"
        "\n"
        "OK        reachable   it is\n"
        "WARNING   clock       late\n"
        "                      -> Set it.\n"
        "CRITICAL  key         wrong\n"
        "                      -> Right it."
    )


def test_what_strangers_chose_cannot_forge_a_line_or_command_a_terminal() -> None:
    forged = "gpu\x1b[2J\nOK        key         accepted \u202eevil\u200b|load=1"
    node = {"ID": f"{forged}-n", "Name": "n", "LastSeen": "2026-12-30T00:00:00Z"}
    body = {"nodes": [node], "federated_nodes": [], forged: {"nodes": []}}
    version = {"version": f"v3.6.0{forged}"}
    report = examined(listing(body) | {"/version": response(json.dumps(version))})
    text = report.as_text()
    assert all(line.isprintable() and "|" not in line for line in text.split("\n"))
    assert len(text.split("\n")) == 3 + sum(1 + bool(finding.advice) for finding in report.findings)
    shown = r"gpu\u001b[2J\nOK        key         accepted \u202eevil\u200b\u007cload=1"
    assert f"clock runs ahead of LocalAI's: {shown}\n" in text
    assert f"it also lists {shown}, " in text
    assert f"LocalAI v3.6.0{shown}," in text
    assert report.as_json().isascii()


def test_the_json_says_what_the_text_says() -> None:
    report = examined(recorded("v4.7.1/p2p-off"), 600.0)
    read = json.loads(report.as_json())
    assert read["url"] == report.url
    assert read["severity"] == "warning"
    assert [Finding(**one | {"severity": Severity[one["severity"].upper()]}) for one in read["findings"]] == list(
        report.findings
    )
    text = report.as_text()
    for one in read["findings"]:
        assert one["message"] in text
        assert one["advice"] in text


def test_each_poll_asks_over_a_connection_of_its_own() -> None:
    answers = recorded(CLUSTER)
    with replaying(answers) as peer:
        examine(Target(url=peer.url, api_key=KEY), clock_at(date_of(answers)))
    assert peer.paths[0] == "/readyz"
    assert peer.paths.count("/api/p2p/workers") == POLLS
    assert peer.paths.count("/api/p2p") == 0
    assert all(f"Authorization: Bearer {KEY.reveal()}" in head for head in peer.heads)


# The command itself. The captures are of the past, so that LocalAI's clock is behind wherever Date is answered.


@pytest.mark.parametrize(
    ("name", "code", "first"),
    [
        ("v4.7.1/cluster", 1, r"LOCALAI P2P WARNING: LocalAI's clock is \d+ s behind this machine's"),
        (
            "v4.7.1/key-missing",
            2,
            r"LOCALAI P2P CRITICAL: LocalAI does not accept the key, or wants one \(status 401\)",
        ),
    ],
)
def test_the_command_ends_as_a_plugin_does(name: str, code: int, first: str) -> None:
    with replaying(recorded(name)) as peer:
        done = run("doctor", "--localai.url", peer.url)
        as_json = run("doctor", "--json", variables={"LOCALAI_URL": peer.url})
    assert (done.returncode, done.stderr) == (code, "")
    assert re.fullmatch(first, done.stdout.splitlines()[0])
    assert (as_json.returncode, as_json.stderr) == (code, "")
    read = json.loads(as_json.stdout)
    lines = done.stdout.splitlines()[3:]
    assert [one["severity"].upper() for one in read["findings"]] == [
        line.split()[0] for line in lines if not line.startswith(" ")
    ]


def test_the_command_ends_with_0_where_all_is_in_order() -> None:
    answers = recorded("v4.7.1/cluster")
    now = time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
    fresh = {path: re.sub(rb"Date: [^\r]+", now, answer) for path, answer in answers.items()}
    with replaying(fresh) as peer:
        done = run("doctor", "--localai.url", peer.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("LOCALAI P2P OK: everything is in order\n")
