"""What an operator chooses at the top of the dashboard, each choice narrowing those after it."""

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort
from look import SOURCE, Property

UID = "localai-p2p"

_ANY = ".+"
# A Prometheus that holds one cluster often gives its targets no such label: they have an empty one, which `.+` misses.
_ANY_OR_NONE = ".*"

_ALL = VariableOption(selected=True, text=["All"], value=["$__all"])
_EXPORTERS = "localai_p2p_exporter_build_info"
_CLUSTER = 'cluster=~"$cluster"'
_JOB = f'{_CLUSTER}, job=~"$job"'
_INSTANCE = f'{_JOB}, instance=~"$instance"'
_ROLE = f'{_INSTANCE}, role=~"$role"'


def variables() -> list[DatasourceVariable | QueryVariable]:
    """Return them in the order in which they narrow."""
    return [
        DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _values("cluster", _EXPORTERS).all_value(_ANY_OR_NONE),
        _values("job", f"{_EXPORTERS}{{{_CLUSTER}}}"),
        _values("instance", f"{_EXPORTERS}{{{_JOB}}}"),
        _values("role", f"localai_p2p_nodes{{{_INSTANCE}}}"),
        _values("host", f"localai_p2p_node_online{{{_ROLE}}}"),
    ]


def _values(label: str, series: str) -> QueryVariable:
    query = f"label_values({series}, {label})"
    return (
        QueryVariable(label)
        .label(label.capitalize())
        .datasource(SOURCE)
        .query({"query": query, "refId": label})
        .definition(query)
        .multi(True)
        .include_all(True)
        .all_value(_ANY)
        .current(_ALL)
        .sort(VariableSort.NATURAL_ASC)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def _kept(*names: str) -> str:
    return "&".join(f"${{{name}:queryparam}}" for name in names)


def to_one_host() -> Property:
    """Return the property of a column of hosts by which each leads to its graphs alone, all else as it is."""
    kept = _kept("datasource", "cluster", "job", "instance", "role")
    url = f"/d/{UID}?{kept}&var-host=${{__value.raw:percentencode}}&${{__url_time_range}}"
    return Property("links", [{"title": "Only this host", "url": url}])
