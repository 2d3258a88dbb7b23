"""Metric families that write themselves, so that a scrape costs what moved since the last one.

The library's encoder sorts and escapes every label of every sample at every scrape. Here the labels of many samples
are escaped before, and a template of thousands of them is filled with values by one call in C; a small family is
written by the library's encoder, and its text is kept with it. To a registry and its filters all are families.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, IntEnum, auto
from itertools import islice
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

END = b"# EOF\n"
"""What a page of OpenMetrics ends with."""

# The backslash goes first: those that the others bring are not to be doubled.
_ESCAPES = (("\\", r"\\"), ("\n", r"\n"), ('"', r"\""), ("%", "%%"))

TEXT = "%b"
COUNT = "%.1f"
EXACT = "%r"
"""How a template writes values."""

_TEMPLATE_ROWS = 4_096  # a page is made of pieces, so that nothing of it takes more memory than a few of these


class Form(Enum):
    """How a page is written."""

    TEXT = auto()
    OPENMETRICS = auto()


_ENCODERS: Mapping[Form, Callable[[Collector], bytes]] = {Form.TEXT: encode_text, Form.OPENMETRICS: encode_openmetrics}


class _Listed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def encoded(families: Iterable[Metric], form: Form) -> bytes:
    """Return what the library's encoder writes of some families, without the end of a page."""
    return _ENCODERS[form](_Listed(families)).removesuffix(END)


class Lasts(IntEnum):
    """For how many pages a family may be the very same object. What lasts longer goes first on a page."""

    ONE_PAGE = 0
    SOME_PAGES = 1
    MANY_PAGES = 2


class Written(Metric):
    """A family that writes itself.

    Args:
        metric: its name, help text and type.

    Attributes:
        lasts: for how many pages.
    """

    lasts = Lasts.SOME_PAGES

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric.name, metric.documentation, metric.type, metric.unit)

    @abstractmethod
    def texts(self, form: Form) -> Iterable[bytes]:
        """Return what stands of it on a page, piece by piece."""


class Small(Written):
    """A family of few samples, whose text is kept.

    Args:
        metric: what it says; it does not change any more.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self.samples = metric.samples
        self._texts: dict[Form, tuple[bytes]] = {}

    def texts(self, form: Form) -> tuple[bytes]:
        """Return what stands of it on a page, in one piece."""
        if form not in self._texts:
            self._texts[form] = (encoded([self], form),)
        return self._texts[form]


class Large(Written):
    """A gauge of many samples, whose text is made whenever it is asked for: whoever needs it again keeps it.

    Args:
        metric: its name and help text.
        make: gives its text piece by piece, the same each time.
        lasts: as for every family.
    """

    def __init__(self, metric: Metric, make: Callable[[], Iterable[bytes]], lasts: Lasts) -> None:
        self._make = make
        super().__init__(metric)
        self.lasts = lasts

    @property
    def samples(self) -> list[Sample]:
        """What it says, read off its text: for whoever filters metrics by their names, or looks a value up."""
        from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - a page needs no parser

        (family,) = text_string_to_metric_families(b"".join(self._make()).decode())
        return family.samples

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """Take nothing: every family begins with a list of none."""

    def texts(self, form: Form) -> Iterable[bytes]:  # noqa: ARG002 - a gauge is written alike in all of them
        """Return what stands of it on a page, piece by piece."""
        return self._make()


class Definition(NamedTuple):
    """One metric, as it is documented.

    Attributes:
        name: as it is exposed, `_total` included.
        help: what a sample says, with its unit.
        labels: their names.
        type: `gauge`, `counter` or `histogram`.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    type: str = "gauge"

    def family(self, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """Return the family with a sample for each pair of label values and value."""
        kind = CounterMetricFamily if self.type == "counter" else GaugeMetricFamily
        family = kind(self.name, self.help, labels=self.labels)
        for labels, value in samples:
            if len(labels) != len(self.labels):
                raise ValueError(f"{self.name} takes {len(self.labels)} label values, not {len(labels)}")
            family.add_metric(labels, value)
        return family

    def single(self, value: float, *labels: str) -> Metric:
        """Return the family with one sample."""
        return self.family([(labels, value)])

    def large(self, make: Callable[[], Iterable[bytes]], lasts: Lasts = Lasts.SOME_PAGES) -> Large:
        """Return the family with many samples; as for `Large`."""
        return Large(self.family(()), make, lasts)

    def templates(self, labels: Iterable[str], value: str) -> Iterator[tuple[bytes, int]]:
        """Yield the text of a gauge, piece by piece, with a gap for the value of each sample, and how many they are.

        Args:
            labels: of each sample, as they are written: sorted by name as the library does, and `escaped`.
            value: how a value is written, as % takes it; without a gap where all samples have one value.
        """
        labels = iter(labels)
        head = encoded([self.family(())], Form.TEXT).decode().replace("%", "%%")
        while lines := list(islice(labels, _TEMPLATE_ROWS)):
            count = len(lines)
            lines[0] = head + self.name + lines[0]
            lines[-1] += f" {value}\n"
            yield f" {value}\n{self.name}".join(lines).encode(), count
            head = ""

    def written(self, labels: Iterable[str], value: str, values: Iterable[float | bytes] = ()) -> Iterator[bytes]:
        """Yield the text of a gauge, piece by piece.

        Args:
            labels: as `templates` takes them.
            value: likewise.
            values: of each sample, in the order of the labels; none where all have one.
        """
        values = iter(values)
        for template, count in self.templates(labels, value):
            yield template % tuple(islice(values, count))


def needs_escape(text: str) -> bool:
    """Tell whether a text, or one of many that were put together, is not `escaped`."""
    return any(mark in text for mark, _ in _ESCAPES)


def escaped(text: str) -> str:
    """Return a label's value as it stands between quotes in a template, where a % is doubled besides."""
    for mark, instead in _ESCAPES:
        text = text.replace(mark, instead)
    return text
