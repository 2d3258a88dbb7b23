"""Metric families that write themselves, so that a scrape costs what moved since the last one.

The library's encoder sorts and escapes every label of every sample at every scrape. Here the labels of many samples
are escaped when their `Template` is made, and their values are formatted by one call in C; a small family is written by
the library's encoder, and its text is kept with it. To a registry and its filters all are families.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest as encode_text
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as encode_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

END = b"# EOF\n"
"""What a page of OpenMetrics ends with."""

# The backslash goes first: those that the others bring are not to be doubled.
_ESCAPES = (("\\", r"\\"), ("\n", r"\n"), ('"', r"\""), ("%", "%%"))


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


class Written(Metric):
    """A family that writes itself.

    Args:
        metric: its name, help text and type.

    Attributes:
        lasts: whether the next scrape may be given this very object again.
    """

    lasts = True

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric.name, metric.documentation, metric.type, metric.unit)

    @abstractmethod
    def text(self, form: Form) -> bytes:
        """Return what stands of it on a page."""


class Small(Written):
    """A family of few samples, whose text is kept.

    Args:
        metric: what it says; it does not change any more.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self.samples = metric.samples
        self._texts: dict[Form, bytes] = {}

    def text(self, form: Form) -> bytes:
        """Return what stands of it on a page."""
        if form not in self._texts:
            self._texts[form] = encoded([self], form)
        return self._texts[form]


class Large(Written):
    """A gauge of many samples, whose text is made whenever it is asked for: whoever needs it again keeps it.

    Args:
        metric: its name and help text.
        make: gives its text, the same each time.
        lasts: as for every family.
    """

    def __init__(self, metric: Metric, make: Callable[[], bytes], *, lasts: bool) -> None:
        self._make = make
        super().__init__(metric)
        self.lasts = lasts

    @property
    def samples(self) -> list[Sample]:
        """What it says, read off its text: for whoever filters metrics by their names, or looks a value up."""
        (family,) = text_string_to_metric_families(self._make().decode())
        return family.samples

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """Take nothing: every family begins with a list of none."""

    def text(self, form: Form) -> bytes:  # noqa: ARG002 - a gauge is written alike in all of them
        """Return what stands of it on a page."""
        return self._make()


class Template:
    """The text of a gauge with a gap for the value of each sample.

    Args:
        metric: its name and help text.
        labels: of each sample, one at least, as they are written: sorted by name as the library does, and `escaped`.
        value: the form of a value, as % takes it; without a gap where all samples have one value.
    """

    def __init__(self, metric: Metric, labels: Sequence[str], value: str) -> None:
        # Put together in one step, as it may have megabytes.
        lines = [*labels]
        lines[0] = encoded([metric], Form.TEXT).decode().replace("%", "%%") + metric.name + lines[0]
        lines[-1] += f" {value}\n"
        self._text = f" {value}\n{metric.name}".join(lines).encode()

    def filled(self, values: Iterable[float] = ()) -> bytes:
        """Return the text with these values, in the order of the labels."""
        return self._text % tuple(values)


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

    def large(self, make: Callable[[], bytes], *, lasts: bool = True) -> Large:
        """Return the family with many samples; as for `Large`."""
        return Large(self.family(()), make, lasts=lasts)

    def template(self, labels: Sequence[str], value: str) -> Template:
        """Return the family's template; as for `Template`."""
        return Template(self.family(()), labels, value)


def needs_escape(text: str) -> bool:
    """Tell whether a text, or one of many that were put together, is not `escaped`."""
    return any(mark in text for mark, _ in _ESCAPES)


def escaped(text: str) -> str:
    """Return a label's value as it stands between quotes in a template, where a % is doubled besides."""
    for mark, instead in _ESCAPES:
        text = text.replace(mark, instead)
    return text
