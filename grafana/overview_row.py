"""What an operator looks at first: is it seen at all, is enough of it there, and what has already fired."""

from grafana_foundation_sdk.builders import stat
from look import BAD, GOOD, PLAIN, WARN, Frame, Group, fixed, numbers, told
from queries import AGE_WHEN_ASKED, HOST, KNOWN, ONLINE_TO_SOMEBODY, ROLE, bound, inside, scoped
from records import EXPECTED, ONLINE, UP
from rulebook import KIND, PREFIX
from tiles import answering, firing

from exporter.entries import ONLINE_WITHIN_SECONDS


def row() -> Group:
    """Return the row."""
    return Group(
        "Overview",
        (
            _api(),
            _of_expected("worker", "Workers", 5, ("NoWorkersOnline", "BelowExpected", "CapacityDropped")),
            _of_expected("federated", "Federated", 4, ("BelowExpected", "AllNodesStaleAtOnce")),
            _dead(),
            _age(),
            _alerts(),
        ),
    )


def _api() -> stat.Panel:
    frame = Frame(
        title="LocalAI API",
        about="Whether each LocalAI was understood by its exporter's newest poll, what is down first (at most 12). "
        "Red: nothing is known of what lies behind it. Either LocalAI does not answer or refuses the key, or the "
        "exporter itself is gone, which stays red for the length of the time range. A tile for P2P is there where "
        "LocalAI says that it is off. "
        "Do: `localai-p2p-exporter doctor --localai.url LOCALAI`; row Exporter shows the reason of failed polls.",
        empty="no exporter",
        width=4,
        height=5,
        steps=((None, BAD), (1, GOOD)),
        alerts=("APIUnreachable", "APIKeyRejected", "ExporterDown", "P2PDisabled"),
    )
    return answering(frame, "localai_p2p_up", "localai_p2p_enabled", "P2P")


def _of_expected(role: str, title: str, width: int, alerts: tuple[str, ...]) -> stat.Panel:
    frame = Frame(
        title=title,
        about=f"How many {role} nodes are online, each once, however many exporters see it, and how many there should "
        "be, where the exporter was told (`--expect.workers`, `--expect.federated`). Red, missing: so many fewer are "
        "online than expected; without an expectation, so many were online within the time range, and none is now. "
        "Do: row Membership shows which hosts went, row Nodes since when.",
        empty="unknown",
        width=width,
        height=5,
        steps=((None, PLAIN), (1, GOOD)),
        alerts=alerts,
    )

    def of_role(expr: str) -> str:
        return scoped(expr, f'role="{role}"')

    online = of_role(inside("sum by (cluster)", ONLINE.expr))
    expected = of_role(f"sum by (cluster) ({EXPECTED.expr})")
    once = of_role(f"sum by (cluster) (max by ({KIND}) (max_over_time(localai_p2p_nodes_online[$__range])))")
    missing = f"""\
{expected}
- {online}
> 0
or {once}
> 0
and {online}
== 0
unless {expected}"""
    return (
        numbers(
            frame,
            told(inside("sum", online), "online"),
            told(inside("sum", missing), "missing"),
            told(inside("sum", expected), "expected"),
        )
        .override_by_name("missing", [fixed(BAD)])
        .override_by_name("expected", [fixed(PLAIN)])
    )


def _dead() -> stat.Panel:
    frame = Frame(
        title="Known, but offline",
        about="Nodes that LocalAI lists and calls offline. It forgets none until it restarts, and every restart of a "
        "node leaves one behind, so some are normal. Orange: so many that they hide what matters. "
        "Do: find the host whose ids pile up (Trust, Ids per host) and why it restarts; a restart of LocalAI clears "
        "the list.",
        empty="unknown",
        width=3,
        height=5,
        steps=((None, PLAIN), (bound("DeadNodesPileUp", "nodes"), WARN)),
        alerts=("DeadNodesPileUp",),
    )
    expr = f"{inside('sum', scoped(KNOWN))}\n- {inside('sum', scoped(ONLINE.expr))}"
    return numbers(frame, told(expr, "offline"), named=False)


def _age() -> stat.Panel:
    frame = Frame(
        title="Oldest living heartbeat",
        about="Of the nodes that are online, the age of the oldest heartbeat as LocalAI was asked. Up to 35 s is "
        "healthy: a node announces itself every 20 s, and the news travels. Red: LocalAI is about to call a node "
        "offline, at 40 s. Do: row Nodes, Age of heartbeats shows which one; if it lasts or comes back, look at that "
        "host's network and clock.",
        empty="none online",
        width=4,
        height=5,
        unit="s",
        steps=((None, GOOD), (30, WARN), (ONLINE_WITHIN_SECONDS, BAD)),
        alerts=("HostFlapping", "NodeClockBehind"),
    )
    expr = scoped(f"max(\n{AGE_WHEN_ASKED}\nand {ONLINE_TO_SOMEBODY} == 1\n)", ROLE, HOST)
    return numbers(frame, told(expr, "age"), named=False).decimals(0)


def _alerts() -> stat.Panel:
    frame = Frame(
        title="Alerts firing",
        about="This project's alerts by name, with how many there are: critical ones red, warnings orange, infos blue. "
        "Needs the rules of `prometheus/rules` in Prometheus. Do: open the alert's section of the runbook.",
        empty="no rules loaded",
        width=4,
        height=5,
        steps=((None, GOOD),),
        alerts=("ExporterAbsent",),
    )
    return firing(frame, f"{PREFIX}.+", UP)
