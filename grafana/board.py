"""A whole dashboard: its rows become the JSON that Grafana imports."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType
from look import Group
from rulebook import RUNBOOK


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard.

    Attributes:
        uid: by which links find it; its file is called so.
        title: plain words.
        about: what it shows.
        tags: by which Grafana lists it.
        variables: what an operator chooses at its top.
        events: what is marked on every graph.
        groups: its rows.
    """

    uid: str
    title: str
    about: str
    tags: tuple[str, ...]
    variables: Sequence[DatasourceVariable | QueryVariable]
    events: Sequence[AnnotationQuery]
    groups: tuple[Group, ...]

    @property
    def file(self) -> Path:
        """Where it is written."""
        return Path(__file__).parent / f"{self.uid}.json"

    def document(self) -> dict[str, Any]:
        """Return the dashboard as Grafana imports it."""
        docs = RUNBOOK.rpartition("/")[0]
        whole = (
            Dashboard(self.title)
            .uid(self.uid)
            .description(self.about)
            .tags([*self.tags])
            .timezone("browser")
            .editable()
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .time("now-6h", "now")
            .refresh("30s")
            .variables([*self.variables])
            .annotations([*self.events])
            .links([_link("Runbook", RUNBOOK), _link("Metrics", f"{docs}/metrics.md")])
        )
        for place, group in enumerate(self.groups, start=1):
            # Numbers of its own for each row: a new panel moves no other row's, and with them no link to a panel.
            _add(whole, group, 100 * place)
        document: dict[str, Any] = json.loads(json.dumps(whole.build(), cls=JSONEncoder))
        _prune(document)
        return document

    def text(self) -> str:
        """Return the file's content."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n"


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
