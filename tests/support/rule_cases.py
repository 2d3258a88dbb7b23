"""Every alert's cases: simulated clusters first, then tables of series for what would take a simulation days.

Times in scripts are from the start of a story; minutes of `firing` too. A node that dies is offline to LocalAI after
40 s, and gone from a window of 3 minutes 3 minutes later: an alert with `for: 3m` fires 7 minutes after the death.
A sample as old as its window is in it to Prometheus 2 and not to Prometheus 3: no case depends on that one.
"""

from dataclasses import replace

from support.captures import CAPTURES, capture
from support.distributed_rule_cases import DISTRIBUTED
from support.rules import Case, Text
from support.stories import Watch

_M = 60.0
_NODE = '{role="worker",backend="llama_cpp",host="gpu",id="gpu-Ab"}'
_NODE_LABELS = {"role": "worker", "backend": "llama_cpp", "host": "gpu", "id": "gpu-Ab"}

FOUR = """
worker a
worker b
worker c.example.org
worker d mlx
federated gateway-2
"""

_QUIET = "ExporterDown APIUnreachable PollsFailing HostLost NodeClockAhead BelowExpected ExpectedHostMissing"
_HEALTHY = ("alone", "cluster", "cluster-seen-from-2", "no-webui", "restarted", "loss-20s", "key-right")

CAPTURED = tuple(
    Case(f"capture {one}: nothing", 30, (Watch(capture=one),), firing={(0, 30): ""})
    for one in CAPTURES
    if one.folder.name in _HEALTHY
)

SLOWLY_SCRAPED = (
    Case(
        "scraped once a minute, with a lost poll, a failed scrape and a restart: nothing",
        60,
        (
            Watch(
                FOUR + "at 45m restart a",
                expected={"worker": 4, "federated": 2},
                hosts=("a",),
                lost_polls=((10 * _M, 10 * _M + 10),),
                lost_scrapes=((20 * _M, 20 * _M + 1),),
                restarts=((30 * _M, 30.9 * _M),),
            ),
            Watch(FOUR + "at 45m restart a", instance="two:10040"),
        ),
        interval=60,
        firing={(0, 60): ""},
        spares=f"{_QUIET} NodeClockBehind ViewsDisagree",
    ),
    Case(
        "scraped once a minute: a dead node with a fast clock, and a host that is lost",
        60,
        (Watch(FOUR + "worker e skew 2h\nat 20m kill e\nat 20m kill a", restarts=((40 * _M, 40.9 * _M),)),),
        interval=60,
        firing={(10, 25): "NodeClockAhead", (28, 60): "NodeClockAhead HostLost"},
    ),
    Case(
        "scraped once a minute, three heartbeats: a lagging node looks offline for good, and its clock explains it",
        60,
        (Watch(FOUR + "worker e skew -20s"),),
        interval=60,
        firing={5: "", (22, 59): "HostLost NodeClockBehind"},
        spares="NodeClockAhead HostFlapping",
    ),
    Case(
        "scraped once a minute, every fourth poll is lost",
        60,
        (Watch(FOUR, lost_polls=tuple((at * _M + 15, at * _M + 30) for at in range(15, 60))),),
        interval=60,
        firing={30: "", (42, 60): "PollsFailing"},
        spares="APIUnreachable HostLost",
        text=Text(
            55,
            "PollsFailing",
            {"instance": "one:10040"},
            "25% of the polls by the exporter at one:10040 failed in 15 minutes.",
        ),
    ),
)

EXPORTER = (
    Case(
        "a healthy cluster: nothing",
        75,
        (Watch(FOUR, expected={"worker": 4, "federated": 2}, hosts=("a", "c.example.org")),),
        firing={(0, 75): ""},
        spares="NoWorkersOnline ClockOffset SeriesHidden ExporterAbsent AllNodesStaleAtOnce",
    ),
    Case(
        "a lost poll, two failed scrapes, two restarts of the exporter: nothing",
        60,
        (
            Watch(
                FOUR,
                expected={"worker": 4},
                hosts=("a",),
                lost_polls=((10 * _M, 10 * _M + 10),),
                lost_scrapes=((20 * _M, 20.5 * _M),),
                restarts=((30 * _M, 31 * _M), (40 * _M, 42 * _M)),
            ),
        ),
        firing={(0, 60): ""},
        spares=_QUIET,
    ),
    Case(
        "the exporter dies",
        40,
        (Watch(FOUR, expected={"worker": 4}, hosts=("a",), restarts=((20 * _M, 60 * _M),)),),
        firing={27: "", (29, 40): "ExporterDown"},
        spares="APIUnreachable HostLost ExporterAbsent",
        text=Text(35, "ExporterDown", {"instance": "one:10040"}, "no scrape of the exporter at one:10040 succeeds."),
    ),
    Case(
        "one of two exporters dies: what it watched is still watched",
        40,
        (Watch(FOUR), Watch(FOUR, instance="two:10040", restarts=((20 * _M, 60 * _M),))),
        firing={(29, 40): "ExporterDown"},
        spares="HostLost CapacityDropped ViewsDisagree",
    ),
    Case(
        "the target is removed",
        40,
        (Watch(FOUR, removed=((20 * _M, 60 * _M),)),),
        firing={27: "", (29, 40): "ExporterAbsent"},
        text=Text(
            35,
            "ExporterAbsent",
            {"job": "localai-p2p"},
            "Prometheus has no target of the job localai-p2p: nothing watches any cluster.",
            cluster="",
        ),
    ),
    Case(
        "LocalAI is down for half an hour: that alone",
        90,
        (Watch(FOUR + "at 20m outage 30m", expected={"worker": 4}, hosts=("a",)),),
        firing={26: "", (28, 50): "APIUnreachable", 55: "", 90: ""},
        passing="PollsFailing",
        spares="HostLost NoWorkersOnline BelowExpected ExpectedHostMissing CapacityDropped AllNodesStaleAtOnce",
        text=Text(
            30,
            "APIUnreachable",
            {"instance": "one:10040"},
            "the exporter at one:10040 has not understood LocalAI once in 5 minutes; what its nodes do is unknown.",
        ),
    ),
    Case(
        "LocalAI restarts in 4 minutes: nothing, and no late news of it",
        60,
        (Watch(FOUR + "at 20m outage 4m", expected={"worker": 4}, hosts=("a",)),),
        firing={(0, 60): ""},
        spares="APIUnreachable PollsFailing APIKeyRejected HostLost BelowExpected",
    ),
    Case(
        "polls fail for 6.5 minutes: their share stands for a quarter of an hour, and is no news then",
        60,
        (Watch(FOUR, lost_polls=((20 * _M, 26.5 * _M),)),),
        firing={(0, 60): ""},
        spares="APIUnreachable PollsFailing",
    ),
    Case(
        "every third poll is lost",
        60,
        (Watch(FOUR, lost_polls=tuple((at * 45.0, at * 45.0 + 15) for at in range(20, 80))),),
        firing={30: "", (42, 59): "PollsFailing"},
        spares="APIUnreachable HostLost",
    ),
    Case(
        "LocalAI gets a key, and the exporter is given it 15 minutes later",
        60,
        (Watch(FOUR + "at 20m key s3cret\nat 35m key off"),),
        firing={22: "", 26: "APIKeyRejected", (28, 34): "APIKeyRejected APIUnreachable", (37, 60): ""},
        passing="PollsFailing",
        text=Text(
            30,
            "APIKeyRejected",
            {"instance": "one:10040"},
            "LocalAI refused 20 polls of the exporter at one:10040 in 5 minutes for their key, "
            "and has answered none since.",
        ),
    ),
    Case(
        "LocalAI gets a key that the exporter is given at once",
        40,
        (Watch(FOUR + "at 20m key s3cret\nat 21m key off"),),
        firing={(0, 40): ""},
        spares="APIKeyRejected",
    ),
    Case(
        "five nodes beyond the limit",
        40,
        (Watch("workers 12", limit=8),),
        firing={10: "", (18, 40): "SeriesHidden"},
        spares="BelowExpected HostLost",
        text=Text(
            30,
            "SeriesHidden",
            {"instance": "one:10040"},
            "the exporter at one:10040 hides 5 nodes beyond --node.limit.",
        ),
    ),
)

P2P = (
    Case(
        "P2P is turned off",
        60,
        (Watch(FOUR + "at 20m p2p off"),),
        firing={
            29: "NoWorkersOnline CapacityDropped HostLost",
            36: "P2PDisabled NoWorkersOnline CapacityDropped HostLost",
            45: "P2PDisabled NoWorkersOnline HostLost",
        },
        text=Text(
            45,
            "P2PDisabled",
            {"instance": "one:10040"},
            "the LocalAI behind the exporter at one:10040 says that its P2P is off.",
        ),
    ),
    Case(
        "P2P is off for 5 minutes",
        60,
        (Watch(FOUR + "at 20m p2p off\nat 25m p2p on"),),
        firing={60: ""},
        spares="P2PDisabled NoWorkersOnline HostLost CapacityDropped",
    ),
    Case(
        "only the gateway is left: it sees itself",
        40,
        (Watch("worker a\nworker b\nat 20m kill a\nat 20m kill b"),),
        firing={(30, 40): "NoWorkersOnline CapacityDropped HostLost"},
        spares="AllNodesStaleAtOnce",
        text=Text(35, "NoWorkersOnline", {}, "no worker is online, though some were within 24 hours, or are expected."),
    ),
    Case(
        "a LocalAI without --federated, whose one worker is off",
        40,
        (Watch("worker a\nat 20m kill a", federates=False),),
        firing={(30, 40): "NoWorkersOnline CapacityDropped HostLost"},
        spares="AllNodesStaleAtOnce",
    ),
    Case(
        "a worker is expected, and never was there",
        20,
        (Watch("federated gateway-2", expected={"worker": 1}),),
        firing={10: "NoWorkersOnline BelowExpected"},
    ),
    Case(
        "federated nodes alone",
        60,
        (Watch("federated gateway-2"),),
        firing={(0, 60): ""},
        spares="NoWorkersOnline CapacityDropped AllNodesStaleAtOnce",
    ),
)

MEMBERS = (
    Case(
        "a worker dies: its host is lost for an hour",
        90,
        (Watch(FOUR + "at 20m kill a"),),
        firing={23: "", (28, 79): "HostLost", (82, 90): ""},
        spares="CapacityDropped NodeClockAhead NodeClockBehind HostFlapping",
        text=Text(
            30,
            "HostLost",
            {"role": "worker", "backend": "llama_cpp", "host": "a"},
            "the host a had 1 online worker nodes within the last hour, and has none now.",
        ),
    ),
    Case(
        "a lost poll, a failed scrape and a restart of the exporter delay and reset nothing",
        90,
        (
            Watch(
                FOUR + "at 20m kill a",
                expected={"worker": 4},
                hosts=("a",),
                lost_polls=((24 * _M, 24 * _M + 10), (40 * _M, 40 * _M + 10)),
                lost_scrapes=((25 * _M, 25.5 * _M), (45 * _M, 45.5 * _M)),
                restarts=((26 * _M, 27 * _M), (50 * _M, 52 * _M)),
            ),
        ),
        firing={27.5: "HostLost", (30, 79): "HostLost BelowExpected ExpectedHostMissing"},
        text=Text(40, "BelowExpected", {"role": "worker"}, "1 fewer worker nodes are online than expected."),
    ),
    Case(
        "a host's worker restarts under a new id",
        60,
        (Watch(FOUR + "at 20m restart a\nat 40m restart a", expected={"worker": 4}, hosts=("a",)),),
        firing={(0, 60): ""},
        spares="HostLost ExpectedHostMissing BelowExpected HostFlapping DuplicateNodesOnHost NodeClockAhead",
        optional=True,
    ),
    Case(
        "a worker is away for 2 minutes",
        60,
        (Watch(FOUR + "at 20m kill a\nat 22m restart a", expected={"worker": 4}, hosts=("a",)),),
        firing={(0, 60): ""},
        spares="HostLost ExpectedHostMissing BelowExpected NodeClockBehind",
    ),
    Case(
        "an expected host never comes",
        30,
        (Watch(FOUR, hosts=("a", "nobody")),),
        firing={4: "", (6, 30): "ExpectedHostMissing"},
        text=Text(
            10,
            "ExpectedHostMissing",
            {"host": "nobody"},
            "the host nobody is expected, and none of its nodes is online.",
        ),
    ),
    Case(
        "half of the workers die",
        50,
        (Watch(FOUR + "at 20m kill a\nat 20m kill b"),),
        firing={26: "", (30, 39): "HostLost CapacityDropped"},
        text=Text(
            35, "CapacityDropped", {"role": "worker"}, "50% of the workers of the last hour (its median) are online."
        ),
    ),
    Case(
        "two of five workers die",
        40,
        (Watch(FOUR + "worker e\nat 20m kill a\nat 20m kill b"),),
        firing={(30, 39): "HostLost"},
        spares="CapacityDropped NoWorkersOnline",
    ),
    Case(
        "bad Wi-Fi: a host's heartbeats get lost for two minutes in every four",
        60,
        (Watch(FOUR + "flap a every 4m"),),
        firing={10: "", (30, 60): "HostFlapping"},
        passing="HostFlapping",
        spares="NodeClockBehind NodeClockAhead",
        text=Text(
            40,
            "HostFlapping",
            {"role": "worker", "backend": "llama_cpp", "host": "a"},
            "the online worker nodes of the host a changed 15 times in 30 minutes.",
        ),
    ),
    Case(
        "the demo's bad Wi-Fi flaps, and its clock is right",
        60,
        (Watch(FOUR + "flap a every 90s"),),
        firing={(30, 60): "HostFlapping"},
        passing="HostFlapping",
        spares="NodeClockBehind",
    ),
    Case(
        "two workers of a kind on a host",
        60,
        (Watch("worker a\nworker a\nworker b"),),
        firing={29: "", (34, 60): "DuplicateNodesOnHost"},
        text=Text(
            50,
            "DuplicateNodesOnHost",
            {"role": "worker", "backend": "llama_cpp", "host": "a"},
            "the host a runs 2 worker nodes of one kind.",
        ),
        optional=True,
    ),
    Case(
        "a worker of each kind and a gateway on a host",
        60,
        (Watch("worker a\nworker a mlx\nfederated a"),),
        firing={(0, 60): ""},
        spares="DuplicateNodesOnHost",
        optional=True,
    ),
)

_LOST = Text(
    35,
    "HostLost",
    {"role": "worker", "backend": "llama_cpp", "host": "a"},
    "the host a had 1 online worker nodes within the last hour, and has none now.",
)

SEVERAL = (
    Case(
        "two clusters with hosts of the same name: one loses a host, the other only looks for it",
        40,
        (
            Watch(FOUR + "at 20m kill a", cluster="office"),
            Watch(FOUR, instance="two:10040"),
            Watch("federated gateway-2", cluster="lab", instance="three:10040"),
        ),
        firing={(28, 40): "HostLost"},
        spares="ViewsDisagree NoWorkersOnline CapacityDropped",
        text=replace(_LOST, cluster="office"),
    ),
    Case(
        "targets without a label cluster",
        40,
        (Watch(FOUR + "at 20m kill a", cluster="", expected={"worker": 4}, hosts=("a",)),),
        firing={25: "", (30, 40): "HostLost BelowExpected ExpectedHostMissing"},
        text=replace(_LOST, cluster=""),
    ),
    Case(
        "two exporters of one cluster count a node once: two workers are not four",
        30,
        tuple(
            Watch("worker a\nworker b", expected={"worker": 3}, instance=instance)
            for instance in ("one:10040", "two:10040")
        ),
        firing={4: "", (6, 30): "BelowExpected"},
        spares="DuplicateNodesOnHost ViewsDisagree",
        text=Text(20, "BelowExpected", {"role": "worker"}, "1 fewer worker nodes are online than expected."),
    ),
    Case(
        "two exporters lose a host once",
        40,
        tuple(Watch(FOUR + "at 20m kill a", instance=instance) for instance in ("one:10040", "two:10040")),
        firing={(28, 40): "HostLost"},
        spares="ViewsDisagree CapacityDropped",
        text=_LOST,
    ),
    Case(
        "the network splits between workers: nobody is lost, and the views disagree",
        60,
        (
            Watch(FOUR + "at 20m kill a\nat 20m kill b"),
            Watch(FOUR + "at 20m kill c.example.org\nat 20m kill d", instance="two:10040"),
        ),
        firing={25: "", (32, 60): "ViewsDisagree"},
        spares="HostLost NoWorkersOnline CapacityDropped NodeClockAhead",
    ),
    Case(
        "the network splits between two gateways: each counts itself alone",
        60,
        (
            Watch("host gateway-1\nfederated gateway-2\nat 20m kill gateway-2"),
            Watch("host gateway-2\nfederated gateway-1\nat 20m kill gateway-1", instance="two:10040"),
        ),
        firing={25: "", (32, 60): "ViewsDisagree"},
        text=Text(
            40,
            "ViewsDisagree",
            {"role": "federated"},
            "the instances disagree on 2 federated nodes: the network may be split.",
        ),
    ),
    Case(
        "an instance never discovered a worker",
        30,
        (Watch("worker a\nworker b"), Watch("worker a", instance="two:10040")),
        firing={(13, 30): "ViewsDisagree"},
    ),
    Case(
        "one of two instances does not run with --federated",
        60,
        (Watch(FOUR), Watch(FOUR, instance="two:10040", federates=False)),
        firing={(0, 60): ""},
        spares="ViewsDisagree",
    ),
)

CLOCKS = (
    Case(
        "capture: a dead node with a fast clock is online, a living one with a slow clock is offline",
        40,
        (Watch(capture=capture("v4.7.1", "clock-skew-dead-but-online")),),
        firing={4: "", 12: "NodeClockAhead", (26, 40): "NodeClockAhead NodeClockBehind"},
        spares="HostFlapping",
    ),
    Case(
        "a node with a fast clock lives, dies at 20 minutes, and the exporter restarts twice",
        60,
        (Watch(FOUR + "worker e skew 2h\nat 20m kill e", restarts=((30 * _M, 32 * _M), (50 * _M, 51 * _M))),),
        firing={4: "", (6, 60): "NodeClockAhead"},
        spares="HostLost NodeClockBehind",
    ),
    Case(
        "a clock 3 seconds fast",
        60,
        (Watch(FOUR + "worker e skew 3s\nat 30m kill e\nat 31m restart e"),),
        firing={(0, 60): ""},
        spares="NodeClockAhead ClockOffset",
    ),
    Case(
        "a living node's clock lags by 20 seconds",
        60,
        (Watch(FOUR + "worker e skew -20s"),),
        firing={(24, 28): "NodeClockBehind", 60: "NodeClockBehind HostFlapping"},
        passing="HostFlapping",
        spares="NodeClockAhead HostLost ClockOffset",
    ),
    Case(
        "a node with a right clock on bad Wi-Fi: its heartbeats are lost for 45 seconds in 90",
        60,
        (Watch(FOUR + "worker e\nflap e every 90s"),),
        firing={5: "", (40, 60): "HostFlapping"},
        passing="HostFlapping",
        spares="NodeClockBehind NodeClockAhead HostLost",
    ),
    Case(
        "LocalAI's clock is 8 seconds ahead of the exporter's",
        40,
        (Watch(FOUR, server_ahead=8),),
        firing={8: "", (12, 40): "ClockOffset"},
        text=Text(
            20,
            "ClockOffset",
            {"instance": "one:10040"},
            "LocalAI's clock is 8.5 s ahead of that of the exporter at one:10040, negative being behind.",
        ),
    ),
    Case("LocalAI's clock is 8 seconds behind", 40, (Watch(FOUR, server_ahead=-8),), firing={(12, 40): "ClockOffset"}),
    Case(
        "LocalAI's clock is 4 seconds ahead",
        40,
        (Watch(FOUR, server_ahead=4),),
        firing={(0, 40): ""},
        spares="ClockOffset NodeClockBehind",
    ),
)

TABLES = (
    Case(
        "the file of the targets is refused for half an hour",
        90,
        series={
            "up": "1x180",
            "localai_p2p_exporter_config_last_reload_successful": "1x20 0x30 1x120",
        },
        firing={30: "", (35, 50): "TargetsRefused", (56, 90): ""},
        text=Text(
            40,
            "TargetsRefused",
            {"instance": "one:10040"},
            "the exporter at one:10040 refuses the file of its targets, and goes on with the one before.",
        ),
    ),
    Case(
        "it is refused for 6 minutes, and mended",
        40,
        series={
            "up": "1x60",
            "localai_p2p_exporter_config_last_reload_successful": "1x10 0x6 1x40",
        },
        firing={(0, 40): ""},
        spares="TargetsRefused",
    ),
    Case(
        "LocalAI's P2P stack stops: it knows itself and calls itself offline",
        30,
        series={
            "up": "1x40",
            "localai_p2p_up": "1x40",
            'localai_p2p_nodes{role="federated"}': "2x40",
            'localai_p2p_nodes{role="worker",backend="llama_cpp"}': "3x40",
            'localai_p2p_nodes_online{role="federated"}': "2x9 0x30",
            'localai_p2p_nodes_online{role="worker",backend="llama_cpp"}': "0x40",
        },
        firing={14: "", (17, 30): "AllNodesStaleAtOnce"},
        text=Text(
            20,
            "AllNodesStaleAtOnce",
            {"instance": "one:10040"},
            "the LocalAI behind the exporter at one:10040 answers, knows 5 nodes, and calls none online, "
            "not even itself: its P2P stack has stopped.",
        ),
    ),
    Case(
        "it is stale for 3 minutes, with a failed scrape",
        30,
        series={
            "up": "1x10 0 1x30",
            "localai_p2p_up": "1x10 stale 1x30",
            'localai_p2p_nodes{role="federated"}': "2x10 stale 2x30",
            'localai_p2p_nodes_online{role="federated"}': "2x9 0 stale 0 0 2x30",
        },
        firing={(0, 30): ""},
        spares="AllNodesStaleAtOnce ExporterDown APIUnreachable",
    ),
    Case(
        "the last worker is taken away for good: critical for 24 hours",
        26 * 60,
        interval=120,
        series={
            "up": "1x800",
            "localai_p2p_up": "1x800",
            'localai_p2p_nodes{role="worker",backend="mlx"}': "1x800",
            'localai_p2p_nodes_online{role="worker",backend="mlx"}': "1x29 0x770",
        },
        firing={60: "", 120: "NoWorkersOnline", 24 * 60: "NoWorkersOnline", 25.2 * 60: ""},
        passing="CapacityDropped",
    ),
    Case(
        "61 dead nodes beside 9 living ones",
        90,
        series={
            "up": "1x90",
            "localai_p2p_up": "1x90",
            'localai_p2p_nodes{role="worker",backend="llama_cpp"}': "70x90",
            'localai_p2p_nodes_online{role="worker",backend="llama_cpp"}': "9x90",
        },
        firing={59: "", (61, 90): "DeadNodesPileUp"},
        text=Text(
            70,
            "DeadNodesPileUp",
            {"instance": "one:10040"},
            "the LocalAI behind the exporter at one:10040 lists 61 offline nodes, more than 5 times the online ones.",
        ),
    ),
    Case(
        "60 dead nodes beside 20 living ones",
        90,
        series={
            "up": "1x90",
            "localai_p2p_up": "1x90",
            'localai_p2p_nodes{role="worker",backend="llama_cpp"}': "80x90",
            'localai_p2p_nodes_online{role="worker",backend="llama_cpp"}': "20x90",
        },
        firing={(0, 90): ""},
        spares="DeadNodesPileUp",
    ),
    Case(
        "49 dead nodes and one living",
        90,
        series={
            "up": "1x90",
            "localai_p2p_up": "1x90",
            'localai_p2p_nodes{role="worker",backend="llama_cpp"}': "50x90",
            'localai_p2p_nodes_online{role="worker",backend="llama_cpp"}': "1x90",
        },
        firing={(0, 90): ""},
        spares="DeadNodesPileUp",
    ),
    Case(
        "nodes beyond the retention, none beyond the limit",
        40,
        series={
            "up": "1x40",
            'localai_p2p_nodes_hidden{role="worker",backend="mlx",reason="retention"}': "7x40",
            'localai_p2p_nodes_hidden{role="worker",backend="mlx",reason="limit"}': "0x9 3x4 0x40",
        },
        firing={(0, 40): ""},
        spares="SeriesHidden",
    ),
    Case(
        "online though its heartbeat stands still, its clock not being ahead",
        30,
        series={
            "up": "1x40",
            "localai_p2p_up": "1x40",
            f"localai_p2p_node_online{_NODE}": "1x40",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "0+60x10 600x40",
            f"localai_p2p_node_heartbeat_timestamp_seconds{_NODE}": "0+60x10 600x40",
        },
        firing={17: "", (19, 30): "NodeClockAhead"},
        text=Text(
            20,
            "NodeClockAhead",
            _NODE_LABELS,
            "worker gpu-Ab on gpu last stamped a heartbeat 10m 0s ago, negative being in the future. "
            "LocalAI calls it online whether or not it lives.",
        ),
    ),
    Case(
        "the exporter, started anew, has seen none of its heartbeats, and Prometheus has",
        30,
        series={
            "up": "1x40",
            "localai_p2p_up": "1x40",
            f"localai_p2p_node_online{_NODE}": "1x40",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "0+60x40",
        },
        firing={(0, 30): ""},
        spares="NodeClockAhead",
    ),
    Case(
        "a heartbeat stamped 4 seconds ahead",
        30,
        series={
            "up": "1x40",
            "localai_p2p_up": "1x40",
            f"localai_p2p_node_online{_NODE}": "1x40",
            f"localai_p2p_node_last_seen_age_seconds{_NODE}": "-4x40",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "4+60x40",
            f"localai_p2p_node_heartbeat_timestamp_seconds{_NODE}": "0+60x40",
        },
        firing={(0, 30): ""},
        spares="NodeClockAhead",
    ),
    Case(
        "the exporter has seen none of its heartbeats for long",
        30,
        series={
            "up": "1x40",
            "localai_p2p_up": "1x40",
            f"localai_p2p_node_online{_NODE}": "1x40",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "0x40",
        },
        firing={7: "", (9, 30): "NodeClockAhead"},
    ),
    Case(
        "offline for good, with a steady heartbeat",
        60,
        series={
            "up": "1x60",
            "localai_p2p_up": "1x60",
            f"localai_p2p_node_online{_NODE}": "1x3 0x3 1x3 0x50",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "-45+60x60",
            f"localai_p2p_node_last_seen_age_seconds{_NODE}": "45x60",
            f"localai_p2p_node_heartbeat_timestamp_seconds{_NODE}": "-20+60x60",
        },
        firing={15: "", (22, 60): "NodeClockBehind"},
        text=Text(
            40,
            "NodeClockBehind",
            _NODE_LABELS,
            "worker gpu-Ab on gpu was offline to LocalAI for 100% of 10 minutes, while its heartbeats kept coming, "
            "each of them late by its stamp.",
        ),
    ),
    Case(
        "one late heartbeat: offline for a minute, with a steady heartbeat",
        60,
        series={
            "up": "1x60",
            "localai_p2p_up": "1x60",
            f"localai_p2p_node_online{_NODE}": "1x19 0 1x40",
            f"localai_p2p_node_last_seen_timestamp_seconds{_NODE}": "-20+60x60",
            f"localai_p2p_node_heartbeat_timestamp_seconds{_NODE}": "-20+60x60",
        },
        firing={(0, 60): ""},
        spares="NodeClockBehind HostFlapping",
    ),
    Case(
        "a host's count changes five times in 30 minutes, and a sixth time a minute too late",
        60,
        series={
            "up": "1x60",
            'localai_p2p_host_nodes_online{role="worker",backend="mlx",host="a"}': "1x9 0x4 1x4 0x4 1x4 0x9 1x20",
        },
        firing={(0, 60): ""},
        spares="HostFlapping",
    ),
)

CASES = (*CAPTURED, *SLOWLY_SCRAPED, *EXPORTER, *P2P, *MEMBERS, *SEVERAL, *CLOCKS, *TABLES, *DISTRIBUTED)
