"""The recording rules: one truth per cluster, however many exporters look at it."""

from rulebook import KIND, NODE, WINDOW, Record

UP = Record(
    "cluster:localai_p2p_up:max3m",
    f"max by (cluster) (max_over_time(localai_p2p_up[{WINDOW}]))",
)
"""1 where some LocalAI of the cluster was understood lately: only then does an absent node say anything."""

ONLINE = Record(
    "cluster_role_backend:localai_p2p_nodes_online:distinct",
    # Each node once, whoever sees it. LocalAI's own total is larger where nodes are beyond --node.limit, and is the
    # only one where there is no node.
    f"""\
(
  sum by ({KIND}) (max by ({NODE}) (localai_p2p_node_online))
  > max by ({KIND}) (localai_p2p_nodes_online)
)
or max by ({KIND}) (localai_p2p_nodes_online)""",
)
"""Online nodes of each kind."""

ROLE_ONLINE = Record(
    "cluster_role:localai_p2p_nodes_online:distinct",
    f"sum by (cluster, role) ({ONLINE.name})",
)
"""Online nodes of each role."""

EXPECTED = Record(
    "cluster_role:localai_p2p_nodes_expected:max",
    f"max by (cluster, role) (max_over_time(localai_p2p_nodes_expected[{WINDOW}]))",
)
"""What the operator expects of a cluster, by the most demanding exporter."""

RECORDS = (UP, ONLINE, ROLE_ONLINE, EXPECTED)
