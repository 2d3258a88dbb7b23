"""The ages of many nodes as text, for a scrape that must not format each of them.

All ages go on alike. So each is an index into a list of texts, and a scrape takes a stretch of that list which begins
as much later as time went on: to pick 10,000 texts takes a fifth of what it takes to format them.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from operator import itemgetter

from exporter.families import TEXT, Definition

_PER_SECOND = 100  # LocalAI says its time to the second only, and a poll takes longer than a hundredth
_NEAR = 60 * _PER_SECOND
"""Ages up to a minute are picked, as a node that lives is seen every 20 seconds; the others are formatted."""


class Ages:
    """When each node was last seen, ready for how long that is ago; every moment counts in hundredths of a second.

    Args:
        definition: the metric of the ages.
        labels: of each node, one at least; as templates take them.
        last_seen: of each, in Unix seconds.
        at: a moment on the same clock, not long before those that ages will be wanted for.
    """

    def __init__(self, definition: Definition, labels: Iterable[str], last_seen: Iterable[float], at: float) -> None:
        self._at = _hundredths(at)
        self._old: list[int] = []
        self._near = 0
        picks = map(self._place, map(_hundredths, last_seen))
        # One pick alone would be given without a tuple around it: so there is one more, which is cut off.
        self._templates = [
            (template, itemgetter(*islice(picks, count), 0)) for template, count in definition.templates(labels, TEXT)
        ]

    def _place(self, moment: int) -> int:
        """Return where the text of an age is to be found in a list: from its end on for the old ones."""
        age = self._at - moment
        if 0 <= age < _NEAR:
            self._near = max(self._near, age + 1)
            return age
        self._old.append(moment)
        return -len(self._old)

    def texts(self, now: float) -> Iterator[bytes]:
        """Yield the text with the ages of that moment, piece by piece."""
        at = _hundredths(now)
        minutes, beyond = divmod(at - self._at, _NEAR)
        ages = _texts(minutes)[beyond : beyond + self._near]  # no more than there are: few nodes are to cost little
        ages += [_text(at - moment) for moment in reversed(self._old)]
        for template, pick in self._templates:
            yield template % pick(ages)[:-1]


def _hundredths(seconds: float) -> int:
    return round(seconds * _PER_SECOND)


def _text(hundredths: int) -> bytes:
    return b"%.2f" % (hundredths / _PER_SECOND)


@lru_cache(maxsize=4)  # half a megabyte each; the first one serves while polls succeed every minute
def _texts(minutes: int) -> list[bytes]:
    """Return those of the ages that begin within a minute, and of all that are up to a minute older."""
    return [_text(age) for age in range(minutes * _NEAR, (minutes + 2) * _NEAR)]
