"""Answers as hypothesis makes them up: of the right structure, with what is odd in one place or in all of them."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from support.hostile import FEDERATION, P2P, STATS, WELL_KNOWN, WORKERS, good_answers
from support.localai import entry, generation_2, p2p_entry

NOW = 1_800_000_000.0

TEXTS = (
    st.sampled_from(["a", "gpu-01-a", "gpu-01", "", "x" * 128, "x" * 129])
    | st.text(st.characters(categories=None), max_size=8)
    | st.text(st.sampled_from('a"\\\n\r\t{},=\x00\ud800\udc00\u202e'), max_size=12)
    | st.integers(100, 300).map(lambda length: "x" * length)
)
"""Lone surrogates among them, what the text format gives a meaning, and the same few again and again."""

TIMES = (
    st.sampled_from(["2027-01-15T08:00:00Z", "2027-01-15T07:59:20Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    | st.from_regex(r"\A[12]\d{3}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,9})?(Z|z|[+-][0-2]\d:[0-5]\d)?\Z")
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
)

NUMBERS = (
    st.integers(-2, 3)
    | st.integers()
    | st.floats()
    | st.sampled_from([2**53, 2**53 + 1, -(2**63), 1e308, -0.0, 10**400])
)

LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS | TIMES

JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

KEYS = sorted(
    {
        *("nodes", "federated_nodes", "llama_cpp_nodes", "mlx_nodes", "llama_cpp", "mlx", "workers", "federated"),
        *("llama_cpp_workers", "mlx_workers", "online", "total", "capabilities", "p2p", "version"),
        *entry("a-b"),
        *p2p_entry("a-b"),
    }
)

KEYED = st.recursive(
    JSON | st.sampled_from([entry("gpu-a"), p2p_entry("gpu-b"), {"total": 2, "online": 1}]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
"""The right keys with anything below: what random keys would never reach."""


def _field(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # Mostly of the right type: an entry with six fields, each of them any JSON, would hardly ever be usable.
    return st.one_of(right, right, right, LEAVES)


ENTRIES = (
    st.fixed_dictionaries(
        {"id": _field(TEXTS), "isOnline": _field(st.booleans())},
        optional={
            "name": _field(TEXTS),
            "serviceID": _field(TEXTS),
            "tunnelAddress": _field(TEXTS),
            "lastSeen": _field(TIMES),
            "more": JSON,
        },
    )
    | st.fixed_dictionaries(
        {"ID": _field(TEXTS)},
        optional={
            "Name": _field(TEXTS),
            "ServiceID": _field(TEXTS),
            "TunnelAddress": _field(TEXTS),
            "LastSeen": _field(TIMES),
            "More": JSON,
        },
    )
    | KEYED
)

_GOOD = good_answers(NOW)
GOOD = [
    *(_GOOD[path] for path in (WORKERS, FEDERATION, STATS, P2P, WELL_KNOWN)),
    *generation_2([entry("gpu-a")], [entry("gate-b")]).values(),
    {"nodes": [p2p_entry("gpu-a")], "federated_nodes": [p2p_entry("gate-b")]},
]
"""What LocalAI says, in every generation and at every endpoint."""


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return each place in a value, as what holds it and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good answer with one to three of its values replaced, removed or doubled."""
    value = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["replace", "remove", "double", "entry"])):
            case "replace":
                holder[key] = draw(LEAVES)
            case "remove":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                # A copy: what is drawn may be the same object again and again, and is changed here.
                holder[key] = copy.deepcopy(draw(ENTRIES))
    return value


def encode(value: object) -> bytes:
    """Write JSON as Python does, NaN, Infinity and lone surrogates included."""
    return json.dumps(value).encode()
