"""What a node of the tests has in the place of the chart's images."""

from chart_values import CHART

from support.helm import every
from support.processes import command

OLDER = "0.0.1"
"""A version that the chart can be upgraded from, and of which there is an image too."""


def images() -> dict[str, tuple[str, ...]]:
    """Return the command line that a container of each image begins with: the exporter's for those of the chart."""
    specs = [one["spec"]["template"]["spec"] for one in every() if one["kind"] == "Deployment"]
    exporters = {spec["containers"][0]["image"] for spec in specs} | {f"{CHART.name}:{OLDER}"}
    others = {container["image"] for spec in specs for container in spec["containers"][1:]}
    return dict.fromkeys(exporters, tuple(command())) | dict.fromkeys(others, ("sleep", "infinity"))
