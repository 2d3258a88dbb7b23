"""What the dashboard and the rules leave out, and why."""

UNSHOWN = {
    "localai_p2p_node_info": "names to join by; of a node's name, service and tunnel none says how it is",
}
"""Metrics that no panel and no rule reads."""
