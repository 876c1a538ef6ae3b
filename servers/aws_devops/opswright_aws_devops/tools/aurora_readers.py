"""Readers of an Aurora cluster that exists: one more instance, in the zone that has fewest."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.databases.parts import (
    INSTANCE,
    InstanceClass,
    claim,
    load_cluster,
    load_database,
    load_subnet_group,
    make_member,
    wait_available,
)
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

MOST_READERS = 15
"""Of one cluster, besides its writer (Aurora user guide, "Aurora Replicas")."""


class AuroraReader(BaseModel):
    """An instance that reads; clients reach all readers by the cluster's `reader_endpoint`."""

    db_instance_id: str
    cluster_id: str
    instance_class: str
    az: str
    reader_endpoint: str


@write_tool(toolset="databases")
def create_aurora_reader(
    name: ResourceName,
    cluster_id: Annotated[str, Field(description="Aurora cluster that exists", max_length=63)],
    instance_class: InstanceClass | None = None,
    target: Target = HERE,
) -> Work[AuroraReader]:
    """Add a read replica to an Aurora cluster, of its writer's size unless said otherwise."""
    a = aws(target)
    request = Request.of("create_aurora_reader", name, cluster=cluster_id, size=instance_class)

    def plan() -> ChangePlan:
        cluster, members = _load(a, cluster_id)
        there = claim(request, f"DB instance {name}", load_database(a, name))
        known = [key(INSTANCE, name)] if there else []
        if not known:
            _require_room(cluster, members)
        size, zone = instance_class or _size(cluster, members), _zone(a, cluster, members)
        action = Action(verb="create", type=INSTANCE, name=name, detail=f"{size} in {zone}")
        return ChangePlan(
            summary=f"Add reader {name} to Aurora cluster {cluster_id} ({cluster['Engine']})",
            actions=outstanding([action], known),
            warnings=[
                "One more instance is billed. What was just written may be read some milliseconds "
                "late; when the writer fails, a reader takes its place.",
            ],
            observed={"known": known},
        )

    def apply(rec: Recorder) -> AuroraReader:
        cluster, members = _load(a, cluster_id)
        parameters = {
            "Engine": cluster["Engine"],
            "DBInstanceClass": instance_class or _size(cluster, members),
            "AvailabilityZone": _zone(a, cluster, members),
        }
        make_member(a, rec, request, cluster_id, name, parameters, target)
        wait_available(a, rec, name)
        if a.is_emulator:
            rec.gap("The emulator runs no database engine: the reader reads nothing.")
        made = load_database(a, name) or {}
        return AuroraReader(
            db_instance_id=name,
            cluster_id=cluster_id,
            instance_class=made["DBInstanceClass"],
            az=made["AvailabilityZone"],
            reader_endpoint=cluster["ReaderEndpoint"],
        )

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=lambda made: judge_reader(made, *_load(a, cluster_id), instance_class),
        outputs=AuroraReader,
    )


def _load(a: Aws, cluster_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """RDS's descriptions of a cluster and of its instances. Raises NotFoundError."""
    cluster = load_cluster(a, cluster_id)
    if cluster is None:
        raise NotFoundError(
            f"There is no Aurora cluster {cluster_id!r} in {a.region}; list_resources names those "
            "that exist."
        )
    read = (load_database(a, m["DBInstanceIdentifier"]) for m in cluster["DBClusterMembers"])
    return cluster, [member for member in read if member]


def _require_room(cluster: dict[str, Any], members: list[dict[str, Any]]) -> None:
    name, engine, status = cluster["DBClusterIdentifier"], cluster["Engine"], cluster["Status"]
    if not engine.startswith("aurora"):
        raise BadInputError(
            f"{name} is a {engine} cluster, which takes no further instances; this is for Aurora."
        )
    if status != "available":
        raise BadInputError(f"Cluster {name} is {status}; wait until it is available.")
    if not members:
        raise BadInputError(f"Cluster {name} has no instance yet: its first would be its writer.")
    if len(members) > MOST_READERS:
        raise BadInputError(f"Cluster {name} has {MOST_READERS} readers, Aurora's limit.")


def _writer(cluster: dict[str, Any]) -> str:
    members = cluster["DBClusterMembers"]
    return next((m["DBInstanceIdentifier"] for m in members if m.get("IsClusterWriter")), "")


def _size(cluster: dict[str, Any], members: list[dict[str, Any]]) -> str:
    """The writer's class: a smaller reader that takes its place may not bear the load."""
    writer = _writer(cluster)
    of = {member["DBInstanceIdentifier"]: str(member["DBInstanceClass"]) for member in members}
    return of.get(writer) or next(iter(of.values()))


def _zone(a: Aws, cluster: dict[str, Any], members: list[dict[str, Any]]) -> str:
    group = load_subnet_group(a, cluster["DBSubnetGroup"]) or {"Subnets": []}
    zones = [subnet["SubnetAvailabilityZone"]["Name"] for subnet in group["Subnets"]]
    return quietest_zone(zones, [str(m.get("AvailabilityZone", "")) for m in members])


def quietest_zone(zones: list[str], taken: list[str]) -> str:
    """Of the zones the first with fewest instances; `taken` has a zone for each."""
    return min(sorted(set(zones)), key=taken.count, default=taken[0] if taken else "")


def judge_reader(
    made: AuroraReader,
    cluster: dict[str, Any],
    members: list[dict[str, Any]],
    instance_class: str | None,
) -> list[Check]:
    """Whether it is an available, private reader of the cluster."""
    name = made.db_instance_id
    found = next((m for m in members if m["DBInstanceIdentifier"] == name), None)
    if found is None:
        return [check("It is in the cluster", False, f"{made.cluster_id} has no {name}", name)]
    size, status = found["DBInstanceClass"], found["DBInstanceStatus"]
    zones = sorted({m["AvailabilityZone"] for m in members})
    facts = [
        ("It is in the cluster", True, made.cluster_id),
        ("It is available", status == "available", status),
        ("It reads, and does not write", _writer(cluster) != name, _writer(cluster)),
        ("It is not public", not found["PubliclyAccessible"], ""),
        ("It has the size", size == (instance_class or size), size),
        ("The cluster is in two zones or more", len(zones) > 1, ", ".join(zones)),
    ]
    return [check(what, ok, evidence, name) for what, ok, evidence in facts]
