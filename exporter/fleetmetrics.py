"""Every metric of distributed mode: name, type, labels and help text, which stand here and nowhere else.

A node and a model look so::

    localai_distributed_up 1.0
    localai_distributed_enabled 1.0
    localai_distributed_nodes{status="healthy"} 1.0
    localai_distributed_node_status{name="gpu-01",status="healthy"} 1.0
    localai_distributed_node_status{name="gpu-01",status="offline"} 0.0
    localai_distributed_node_last_heartbeat_age_seconds{name="gpu-01"} 7.5
    localai_distributed_node_vram_available_bytes{name="gpu-01"} 25769803776.0
    localai_distributed_model_replicas_loaded{model="llama-3"} 1.0
    localai_distributed_model_replicas_min{model="llama-3"} 2.0
"""

from exporter.families import Definition

_NODE = ("name",)
_MODEL = ("model",)

UP = Definition(
    "localai_distributed_up",
    "1 when the newest questions on LocalAI's distributed mode were answered and understood, else 0.",
)
ENABLED = Definition("localai_distributed_enabled", "1 when LocalAI is in distributed mode, 0 when it is not.")
NODES = Definition(
    "localai_distributed_nodes", "Nodes in LocalAI's registry by status, those without series included.", ("status",)
)
NODE_STATUS = Definition(
    "localai_distributed_node_status",
    "1 for the status that LocalAI gives the node, 0 for every other; unknown is a status that the exporter does not "
    "know.",
    (*_NODE, "status"),
)
NODE_HEARTBEAT = Definition(
    "localai_distributed_node_last_heartbeat_timestamp_seconds",
    "Unix time at which LocalAI last heard of the node, on its own clock.",
    _NODE,
)
NODE_AGE = Definition(
    "localai_distributed_node_last_heartbeat_age_seconds",
    "Seconds since LocalAI last heard of the node, on its own clock, at the time of the scrape.",
    _NODE,
)
NODE_VRAM = Definition(
    "localai_distributed_node_vram_size_bytes",
    "Memory of the node's GPUs in bytes, 0 without one; absent where the node does not say.",
    _NODE,
)
NODE_VRAM_AVAILABLE = Definition(
    "localai_distributed_node_vram_available_bytes",
    "Memory of the node's GPUs that models can have, in bytes, as the node last said it.",
    _NODE,
)
NODE_RAM = Definition(
    "localai_distributed_node_ram_size_bytes",
    "Memory of the node's machine in bytes; absent where the node does not say.",
    _NODE,
)
NODE_RAM_AVAILABLE = Definition(
    "localai_distributed_node_ram_available_bytes",
    "Memory of the node's machine that is free, in bytes, as the node last said it.",
    _NODE,
)
NODE_DISK = Definition(
    "localai_distributed_node_disk_size_bytes",
    "Size in bytes of the file system that the node's models lie on; absent where it is not said, as before v4.8.",
    _NODE,
)
NODE_DISK_AVAILABLE = Definition(
    "localai_distributed_node_disk_available_bytes",
    "Free bytes of the file system that the node's models lie on, as the node last said it; 0 is full.",
    _NODE,
)
NODE_MODELS = Definition(
    "localai_distributed_node_models_loaded",
    "Replicas of models that are loaded on the node, by LocalAI's own count.",
    _NODE,
)
NODE_REQUESTS = Definition(
    "localai_distributed_node_requests_in_flight", "Requests that the node's loaded models are answering now.", _NODE
)
NODE_INFO = Definition(
    "localai_distributed_node_info",
    "What LocalAI's registry says of the node; always 1.",
    (*_NODE, "id", "node_type", "address", "gpu_vendor"),
)
NODES_HIDDEN = Definition(
    "localai_distributed_nodes_hidden",
    "Nodes of distributed mode without series of their own: offline or unhealthy, and silent for longer than the "
    "retention, or beyond the limit.",
    ("reason",),
)
MODEL_LOADED = Definition(
    "localai_distributed_model_replicas_loaded",
    "Replicas of the model that are loaded on healthy nodes; 0 for one that is scheduled alone.",
    _MODEL,
)
MODEL_MIN = Definition(
    "localai_distributed_model_replicas_min",
    "The fewest replicas of the model that are wanted; absent without a schedule, and where each node shall have one.",
    _MODEL,
)
MODEL_MAX = Definition(
    "localai_distributed_model_replicas_max",
    "The most replicas of the model that are wanted; absent where there is no such limit.",
    _MODEL,
)
MODEL_TICKS = Definition(
    "localai_distributed_model_unsatisfiable_ticks",
    "How many times LocalAI has found no node with room for a replica of the model since it last loaded one, or a node "
    "joined.",
    _MODEL,
)
MODEL_UNSATISFIABLE = Definition(
    "localai_distributed_model_unsatisfiable",
    "1 when replicas of the model are missing, and LocalAI has found no room for one so often that it now waits for "
    "five minutes between two tries, else 0.",
    _MODEL,
)
MODELS_HIDDEN = Definition("localai_distributed_models_hidden", "Models without series of their own: beyond the limit.")
ENTRIES_DROPPED = Definition(
    "localai_distributed_entries_dropped",
    "Elements of the newest lists of distributed mode that were not used, because they are invalid, or repeat another.",
    ("list", "reason"),
)
FAILURES = Definition(
    "localai_p2p_exporter_distributed_failures_total",
    "Polls whose questions on distributed mode failed, by reason.",
    ("reason",),
    "counter",
)
LAST_SUCCESS = Definition(
    "localai_p2p_exporter_distributed_last_success_timestamp_seconds",
    "Unix time at which LocalAI was last understood on distributed mode.",
)

DEFINITIONS = tuple(value for value in globals().values() if isinstance(value, Definition))
"""Every metric of distributed mode, in the order of the documentation."""
