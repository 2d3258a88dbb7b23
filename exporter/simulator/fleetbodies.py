"""The JSON of the routes of LocalAI's distributed mode, with its key order."""

from collections.abc import Iterable

from exporter.simulator.bodies import go_time, json_string
from exporter.simulator.fleet import Member, Plan, Replica

_NS_IN_US = 1_000


def nodes(members: Iterable[Member]) -> str:
    """Write the body of `/api/nodes`."""
    return f"[{','.join(map(_member, members))}]"


def models(replicas: Iterable[Replica]) -> str:
    """Write the body of `/api/nodes/models`."""
    return f"[{','.join(map(_replica, replicas))}]"


def scheduling(plans: Iterable[Plan]) -> str:
    """Write the body of `/api/nodes/scheduling`."""
    return f"[{','.join(map(_plan, plans))}]"


def _time(microseconds: int) -> str:
    return f'"{go_time(microseconds * _NS_IN_US)}"'


def _member(member: Member) -> str:
    name = json_string(member.name)
    (vram, free_vram), (ram, free_ram), (vendor, capability) = member.vram, member.ram, member.gpu
    return (
        f'{{"id":{json_string(member.id)},"name":{name},"node_type":"backend","address":{json_string(member.address)},'
        f'"http_address":{json_string(member.http_address)},"status":{json_string(member.status)},"total_vram":{vram},'
        f'"available_vram":{free_vram},"reserved_vram":0,"total_ram":{ram},"available_ram":{free_ram},'
        f'"gpu_vendor":{json_string(vendor)},"gpu_compute_capability":{json_string(capability)},'
        f'"max_replicas_per_model":1,"max_replicas_per_model_manually_set":false,'
        f'"last_heartbeat":{_time(member.last_heartbeat)},"created_at":{_time(member.created_at)},'
        f'"updated_at":{_time(member.updated_at)},"model_count":{member.models},"in_flight_count":{member.in_flight},'
        f'"labels":{{"node.name":{name},"node.replica-slots":"1"}}}}'
    )


def _replica(replica: Replica) -> str:
    return (
        f'{{"id":{json_string(replica.id)},"node_id":{json_string(replica.node_id)},'
        f'"model_name":{json_string(replica.model)},"replica_index":{replica.index},'
        f'"address":{json_string(replica.address)},"state":"loaded","in_flight":{replica.in_flight},'
        f'"last_used":{_time(replica.last_used)},"created_at":{_time(replica.created_at)},'
        f'"updated_at":{_time(replica.updated_at)}}}'
    )


def _plan(plan: Plan) -> str:
    return (
        f'{{"id":{json_string(plan.id)},"model_name":{json_string(plan.model)},"min_replicas":{plan.least},'
        f'"max_replicas":{plan.most},"unsatisfiable_ticks":{plan.ticks},"created_at":{_time(plan.created_at)},'
        f'"updated_at":{_time(plan.updated_at)}}}'
    )
