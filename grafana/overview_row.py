"""What an operator looks at first: is it seen at all, is enough of it there, and what has already fired."""

from grafana_foundation_sdk.builders import stat
from grafana_foundation_sdk.models import common as option
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from look import BAD, GOOD, NOTE, PLAIN, WARN, Frame, Group, Property, by_name, fixed, numbers, told, words
from queries import EXPORTER, HOST, KNOWN, ONLINE_TO_SOMEBODY, ROLE, YOUNGEST_AGE, bound, inside, scoped
from records import EXPECTED, ONLINE, UP
from rulebook import KIND, PREFIX

from exporter.decode import ONLINE_WITHIN_SECONDS

_FIRING = f'alertname=~"{PREFIX}.+", alertstate="firing"'
_HERE = 'cluster=~"$cluster|"'
"""An exporter that Prometheus does not scrape has no cluster, and is the alert of all of them."""


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
    # What was there within the range and is not now counts as down.
    expr = f"""\
sort(bottomk(12, min by (cluster, instance) (
  max by ({EXPORTER}) (localai_p2p_up)
  or 0 * max by ({EXPORTER}) (max_over_time(localai_p2p_up[$__range]))
)))"""
    off = "max by (cluster, instance) (localai_p2p_enabled) == 0"
    return (
        by_name(
            numbers(
                frame,
                told(scoped(expr), "{{cluster}} {{instance}}"),
                told(scoped(off), "{{cluster}} {{instance}} P2P"),
            )
        )
        .mappings([words({"0": ("down", BAD), "1": ("up", GOOD)})])
        .override_by_query("B", [Property("mappings", [words({"0": ("off", BAD)})])])
        .color_mode(option.BigValueColorMode.BACKGROUND_SOLID)
    )


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
        about="Of the nodes that are online, the age of the oldest heartbeat, on LocalAI's clock. Up to 35 s is "
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
    expr = scoped(f"max({YOUNGEST_AGE} and {ONLINE_TO_SOMEBODY} == 1)", ROLE, HOST)
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

    def firing(severity: str) -> str:
        return f'count by (alertname) (ALERTS{{{_FIRING}, severity="{severity}", {_HERE}}})'

    # Only where the rules are loaded is it known that nothing fires.
    quiet = f"""\
0 * count(last_over_time({UP.name}{{cluster=~"$cluster"}}[$__range]))
unless count(ALERTS{{{_FIRING}, {_HERE}}})"""
    return (
        by_name(
            numbers(
                frame,
                told(firing("critical"), "{{alertname}}"),
                told(firing("warning"), "{{alertname}}"),
                told(firing("info"), "{{alertname}}"),
                told(quiet, "firing"),
            )
        )
        .override_by_query("A", [fixed(BAD)])
        .override_by_query("B", [fixed(WARN)])
        .override_by_query("C", [fixed(NOTE)])
        .mappings([words({"0": ("none", GOOD)})])
        .with_transformation(
            DataTransformerConfig("renameByRegex", options={"regex": f"{PREFIX}(.+)", "renamePattern": "$1"})
        )
    )
