"""What the dashboards and the rules leave out, and which queries may be silent, and why."""

_OF_MANY = "of an exporter of many targets, and of no cluster: the dashboards are about clusters"

UNSHOWN = {
    "localai_distributed_node_last_heartbeat_timestamp_seconds": "its age says the same, whatever the clocks",
    "localai_p2p_exporter_config_last_reload_success_timestamp_seconds": _OF_MANY,
    "localai_p2p_exporter_poll_workers": _OF_MANY,
    "localai_p2p_exporter_polls_under_way": _OF_MANY,
    "localai_p2p_exporter_targets": _OF_MANY,
    "localai_p2p_exporter_targets_slow": _OF_MANY,
    "localai_p2p_exporter_targets_waiting": _OF_MANY,
    "localai_p2p_node_info": "names to join by; of a node's name, service and tunnel none says how it is",
}
"""Metrics that no panel and no rule reads."""

_WRONG = "shows what is wrong, and nothing is of what is chosen"
EMPTY = {
    ("Federated", "B"): _WRONG,
    ("Hosts", "B"): "hosts that no LocalAI knows, which nobody can choose",
    ("Nodes whose clock is wrong", "A"): _WRONG,
    ("Nodes online, as each instance counts them", "B"): _WRONG,
    ("Failed polls, by reason", "B"): _WRONG,
    ("LocalAI restarts (it forgot nodes, or has another version)", "Anno"): _WRONG,
}
"""Queries that give nothing under some choice of the live scene, by panel or annotation and letter."""

ELSEWHERE = {
    ("LocalAI API", "B"): "only while P2P is off: test_an_instance_whose_p2p_is_off_is_named",
    ("Alerts firing", "D"): "only while nothing fires: test_where_nothing_fires_the_panel_says_so",
}
"""Queries that give something in a scene of their own alone."""

SHORT = {
    ("Nodes online, as each instance counts them", "B"): "the network split minutes ago",
    ("Failed polls, by reason", "B"): "polls failed once",
    ("Scrape duration", "A"): "Prometheus's own series, which no story has",
    ("Memory", "A"): "a process's, which no story has",
}
"""Queries over the time range that give nothing in much of it."""

WHOLE = {
    ("Firing alerts", "Anno"): "a cluster's, whatever else is chosen",
}
"""Queries that do not follow each choice."""
