"""What a page says, as plain data: the peers expose it in their own ways."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "localai_p2p_"
"""How the series begin that every peer has; those of the process itself are its own."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples.

    Attributes:
        name: as it is exposed, `_total` included.
        help: its help text.
        type: `gauge`, `counter` or `histogram`.
        labels: their names; none where it is a histogram, which has only buckets.
        samples: label values and value of each; of a histogram the bounds and how many observations each bucket has
            of its own, the last of them without a bound.
    """

    name: str
    help: str
    type: str
    labels: tuple[str, ...]
    samples: Iterable[tuple[tuple[str, ...], float]]


def families_of(page: str) -> list[Family]:
    """Read a page in the text format; families that do not begin with `PREFIX` are left out."""
    found = []
    for metric in text_string_to_metric_families(page):
        if not metric.name.startswith(PREFIX):
            continue
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        if metric.type == "histogram":
            buckets = [(sample.labels["le"], sample.value) for sample in metric.samples if "le" in sample.labels]
            before = [0.0, *(count for _, count in buckets)]
            own = tuple(((bound,), count - less) for (bound, count), less in zip(buckets, before, strict=False))
            found.append(Family(name, metric.documentation, metric.type, (), own))
            continue
        labels = tuple(metric.samples[0].labels)
        samples = tuple((tuple(sample.labels[label] for label in labels), sample.value) for sample in metric.samples)
        found.append(Family(name, metric.documentation, metric.type, labels, samples))
    return found


def dump(families: Iterable[Family], file: Path) -> None:
    """Write families as JSON."""
    file.write_text(json.dumps([asdict(family) for family in families]), "utf-8")


def load(file: Path) -> list[Family]:
    """Read what `dump` wrote."""
    return [
        Family(
            one["name"],
            one["help"],
            one["type"],
            tuple(one["labels"]),
            tuple((tuple(labels), value) for labels, value in one["samples"]),
        )
        for one in json.loads(file.read_text("utf-8"))
    ]


def count_samples(page: bytes) -> int:
    """Return how many samples of a page in any text format begin with `PREFIX`."""
    return sum(line.startswith(PREFIX.encode()) for line in page.splitlines())


def own_part(page: bytes) -> bytes:
    """Return a page in the text format with those families alone that begin with `PREFIX`."""
    comments = tuple(f"# {kind} {PREFIX}".encode() for kind in ("HELP", "TYPE"))
    return b"".join(line for line in page.splitlines(keepends=True) if line.startswith((PREFIX.encode(), *comments)))
