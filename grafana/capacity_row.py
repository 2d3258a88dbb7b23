"""What is left on the nodes of distributed mode."""

from grafana_foundation_sdk.builders import timeseries
from look import BAD, CALM, GOOD, WARN, Frame, Group, Steps, crowded, graph, graphed, told_apart
from queries import NAME, scoped


def row() -> Group:
    """Return the row."""
    return Group(
        "Capacity",
        (
            _free(
                "vram",
                "VRAM free",
                "Share of the memory of each node's GPUs that models can still have; nodes without one are not here. "
                "That it is low is what GPUs are for. Do: where LocalAI finds no room for a model (Models), compare "
                "with what it needs.",
                "no node has a GPU",
                CALM,
            ),
            _free(
                "ram",
                "RAM free",
                "Share of each machine's memory that is free. Orange and red: the kernel is about to kill what is "
                "loaded. Do: unload models there, or give the node fewer.",
                "no node says it",
                ((None, BAD), (0.05, WARN), (0.1, GOOD)),
            ),
            _free(
                "disk",
                "Disk free",
                "Share that is free of the file system on which each node keeps models; LocalAI v4.8 and newer say it. "
                "Red: no further model can be staged there. Do: delete models on that node.",
                "no node says it",
                ((None, BAD), (0.05, WARN), (0.1, GOOD)),
            ),
        ),
    )


def _free(of: str, title: str, about: str, empty: str, steps: Steps) -> timeseries.Panel:
    frame = Frame(title=title, about=about, empty=empty, width=8, height=8, unit="percentunit", steps=steps)
    metric = f"localai_distributed_node_{of}"
    share = f"min by (cluster, name) ({metric}_available_bytes) / (max by (cluster, name) ({metric}_size_bytes) > 0)"
    panel = crowded(graph(frame, graphed(scoped(share, NAME), "{{cluster}} {{name}}"))).min(0).max(1)
    return told_apart(panel) if steps == CALM else panel
