"""Every metric of P2P: name, type, labels and help text, which stand here and nowhere else.

One worker looks so::

    localai_p2p_up 1.0
    localai_p2p_nodes{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_nodes_online{backend="llama_cpp",role="worker"} 1.0
    localai_p2p_node_online{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 1.0
    localai_p2p_node_last_seen_age_seconds{backend="llama_cpp",host="gpu-01",id="gpu-01-mENxBjydya",role="worker"} 7.5
    localai_p2p_host_nodes_online{backend="llama_cpp",host="gpu-01",role="worker"} 1.0
"""

from exporter.families import Definition

_KIND = ("role", "backend")
_NODE = ("role", "backend", "host", "id")

UP = Definition("localai_p2p_up", "1 when the newest poll of LocalAI was answered and understood, else 0.")
ENABLED = Definition(
    "localai_p2p_enabled", "1 when P2P is on in LocalAI, 0 when it is off; absent where it does not say."
)
NODES = Definition("localai_p2p_nodes", "Nodes that LocalAI knows, online or not, by its own total.", _KIND)
NODES_ONLINE = Definition("localai_p2p_nodes_online", "Nodes that are online by LocalAI's own verdict.", _KIND)
NODES_EXPECTED = Definition("localai_p2p_nodes_expected", "Nodes that the operator expects to be online.", ("role",))
NODE_ONLINE = Definition("localai_p2p_node_online", "1 when LocalAI calls the node online, else 0.", _NODE)
NODE_LAST_SEEN = Definition(
    "localai_p2p_node_last_seen_timestamp_seconds",
    "Unix time of the node's last heartbeat, on the node's clock.",
    _NODE,
)
NODE_AGE = Definition(
    "localai_p2p_node_last_seen_age_seconds",
    "Seconds since the node's last heartbeat on LocalAI's clock, at the time of the scrape; "
    "negative when the node's clock runs ahead.",
    _NODE,
)
NODE_HEARTBEAT = Definition(
    "localai_p2p_node_heartbeat_timestamp_seconds",
    "Unix time at which the exporter last saw the node's last-seen move, on the exporter's clock; "
    "absent until it moved once.",
    _NODE,
)
NODE_INFO = Definition(
    "localai_p2p_node_info",
    "What LocalAI says of the node; always 1.",
    (*_NODE, "name", "service_id", "tunnel_address"),
)
HOST_NODES_ONLINE = Definition(
    "localai_p2p_host_nodes_online",
    "Online nodes of a host: the sum of localai_p2p_node_online over it.",
    ("role", "backend", "host"),
)
HOST_EXPECTED = Definition("localai_p2p_host_expected", "1 for each host that the operator expects.", ("host",))
MEMBERSHIP_CHANGES = Definition(
    "localai_p2p_membership_changes_total",
    "Changes from poll to poll: joined is a new id, lost one that went offline, returned one that came back online, "
    "forgotten one that LocalAI lists no more.",
    (*_KIND, "change"),
    "counter",
)
NODES_HIDDEN = Definition(
    "localai_p2p_nodes_hidden",
    "Nodes without series of their own: not seen for longer than the retention, or beyond the limit.",
    (*_KIND, "reason"),
)
ENTRIES_DROPPED = Definition(
    "localai_p2p_entries_dropped",
    "Entries of LocalAI's newest lists that were not used, because they are invalid, or repeat an id.",
    (*_KIND, "reason"),
)
CLOCK_OFFSET = Definition(
    "localai_p2p_server_clock_offset_seconds", "LocalAI's clock minus the exporter's, in seconds."
)
TOKEN_INFO = Definition(
    "localai_p2p_token_info",
    "Which network LocalAI is in: the beginning of the SHA-256 of its join token; always 1.",
    ("fingerprint",),
)
SERVER_INFO = Definition("localai_p2p_server_info", "LocalAI's version, as it says it; always 1.", ("version",))
BUILD_INFO = Definition(
    "localai_p2p_exporter_build_info", "The exporter's version and its Python's; always 1.", ("version", "python")
)
TLS_INSECURE = Definition("localai_p2p_exporter_tls_insecure", "1 when LocalAI's certificate is not checked, else 0.")
API_INFO = Definition(
    "localai_p2p_exporter_api_info",
    "Which generation of LocalAI's P2P API was read, and from which endpoints; always 1.",
    ("generation", "source"),
)
POLLS = Definition(
    "localai_p2p_exporter_polls_total", "Polls of LocalAI that ended, failed ones included.", (), "counter"
)
POLL_FAILURES = Definition(
    "localai_p2p_exporter_poll_failures_total", "Polls that failed, by reason.", ("reason",), "counter"
)
POLL_DURATION = Definition(
    "localai_p2p_exporter_poll_duration_seconds", "How long polls took, in seconds.", (), "histogram"
)
LAST_SUCCESS = Definition(
    "localai_p2p_exporter_last_poll_success_timestamp_seconds", "Unix time at which LocalAI was last understood."
)

DEFINITIONS = tuple(value for value in globals().values() if isinstance(value, Definition))
"""Every metric of P2P, in the order of the documentation."""
