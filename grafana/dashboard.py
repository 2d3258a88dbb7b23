"""Writes the dashboard beside it: `./run docs`."""

import json
from pathlib import Path
from typing import Any

import exporter_row
import membership_row
import nodes_row
import overview_row
import trust_row
from events import events
from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType
from look import Group
from rulebook import RUNBOOK
from variables import UID, variables

FILE = Path(__file__).parent / "localai-p2p.json"


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    docs = RUNBOOK.rpartition("/")[0]
    whole = (
        Dashboard("LocalAI P2P")
        .uid(UID)
        .description("The workers and federated nodes of LocalAI's P2P networks, as localai-p2p-exporter sees them.")
        .tags(["localai", "p2p"])
        .timezone("browser")
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .variables([*variables()])
        .annotations([*events()])
        .links([_link("Runbook", RUNBOOK), _link("Metrics", f"{docs}/metrics.md")])
    )
    groups = (overview_row.row(), membership_row.row(), nodes_row.row(), trust_row.row(), exporter_row.row())
    for place, group in enumerate(groups, start=1):
        # Numbers of its own for each row: a new panel moves no other row's, and with them no link to a panel.
        _add(whole, group, 100 * place)
    document: dict[str, Any] = json.loads(json.dumps(whole.build(), cls=JSONEncoder))
    _prune(document)
    return document


def _prune(document: dict[str, Any]) -> None:
    """Take away what the builders write and Grafana 12's schema of it does not have."""
    panels = [one for panel in document["panels"] for one in (panel, *panel.get("panels", ()))]
    for parts, names in (
        ([*document["annotations"]["list"], *document["links"]], ("placement",)),
        (document["templating"]["list"], ("auto", "auto_min", "auto_count")),
        ([panel.get("options", {}) for panel in panels], ("footer",)),
    ):
        for part in parts:
            for name in names:
                part.pop(name, None)


def _add(whole: Dashboard, group: Group, first_id: int) -> None:
    row = Row(group.title).id(first_id)
    panels = [panel.id(first_id + place) for place, panel in enumerate(group.panels, start=1)]
    if group.folded:
        for panel in panels:
            row.with_panel(panel)
        whole.with_row(row)
        return
    whole.with_row(row)
    for panel in panels:
        whole.with_panel(panel)


def _link(title: str, url: str) -> DashboardLink:
    return DashboardLink(title).type(DashboardLinkType.LINK).icon("doc").url(url).target_blank(True)


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
