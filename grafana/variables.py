"""What an operator chooses at the top of the dashboard, each choice narrowing those after it."""

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort
from look import SOURCE, Property

UID = "localai-p2p"
DISTRIBUTED_UID = "localai-distributed"

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
    """Return those of P2P's dashboard, in the order in which they narrow."""
    return [
        *_targets(_EXPORTERS),
        _values("role", f"localai_p2p_nodes{{{_INSTANCE}}}"),
        _values("host", f"localai_p2p_node_online{{{_ROLE}}}"),
    ]


def distributed_variables() -> list[DatasourceVariable | QueryVariable]:
    """Return those of distributed mode's dashboard likewise; of the exporters, those that ask for it."""
    return [
        *_targets("localai_distributed_up"),
        _values("name", f"localai_distributed_node_status{{{_INSTANCE}}}").label("Node"),
        _values("model", f"localai_distributed_model_replicas_loaded{{{_INSTANCE}}}"),
    ]


def _targets(series: str) -> list[DatasourceVariable | QueryVariable]:
    """Return those that choose exporters: of the ones with such series."""
    return [
        DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _values("cluster", series).all_value(_ANY_OR_NONE),
        _values("job", f"{series}{{{_CLUSTER}}}"),
        _values("instance", f"{series}{{{_JOB}}}"),
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
    return _to_one(UID, "host", "Only this host", _kept("datasource", "cluster", "job", "instance", "role"))


def to_one_node() -> Property:
    """Return the same of a column of distributed mode's nodes."""
    kept = _kept("datasource", "cluster", "job", "instance", "model")
    return _to_one(DISTRIBUTED_UID, "name", "Only this node", kept)


def _to_one(uid: str, variable: str, title: str, kept: str) -> Property:
    url = f"/d/{uid}?{kept}&var-{variable}=${{__value.raw:percentencode}}&${{__url_time_range}}"
    return Property("links", [{"title": title, "url": url}])
