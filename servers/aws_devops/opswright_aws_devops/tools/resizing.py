"""Gives a server another instance type: stopped, changed, started again."""

from typing import Annotated

from pydantic import BaseModel, Field

from opswright_aws_devops.differences import Planned
from opswright_aws_devops.instances.types import (
    INSTANCE,
    STATE_SECONDS,
    Server,
    load_server,
    return_type,
)
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check


class ResizedInstance(BaseModel):
    """A server with its type; its private address stays, the public one may be another."""

    instance_id: str
    instance_type: str
    was: str
    state: str
    private_ip: str | None
    public_ip: str | None


@write_tool(toolset="compute")
def resize_instance(
    instance_id: Annotated[str, Field(description="Like i-0a1b2c3d", max_length=40)],
    instance_type: Annotated[str, Field(description="Like t3.large", max_length=40)],
    target: Target = HERE,
) -> Work[ResizedInstance]:
    """Change an EC2 instance's type; a running one is stopped for it and started again."""
    a = aws(target)
    planned = Planned(f"Instance {instance_id}", lambda: load_server(a, instance_id))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, instance_id, planned.read(), instance_type),
        apply=lambda rec: _apply(a, rec, instance_id, planned.confirm(), instance_type, target),
        verify=lambda made: judge_server(made, load_server(a, instance_id), instance_type),
        outputs=ResizedInstance,
        existing=lambda: _outputs(instance_id, load_server(a, instance_id), was=instance_type),
    )


def _plan(a: Aws, instance_id: str, server: Server, wanted: str) -> ChangePlan:
    actions, warnings = [], []
    if server.type != wanted:
        _require_possible(a, instance_id, server, wanted)
        detail = f"{server.type} → {wanted}"
        actions.append(Action(verb="modify", type=INSTANCE, name=instance_id, detail=detail))
        warnings = _warnings(server)
    return ChangePlan(
        summary=f"Make instance {instance_id} a {wanted}",
        actions=actions,
        warnings=warnings,
        observed={"type": server.type, "state": server.state},
    )


def _require_possible(a: Aws, instance_id: str, server: Server, wanted: str) -> None:
    if server.group:
        raise BadInputError(
            f"{instance_id} belongs to the auto-scaling group {server.group}, which would replace "
            "it while it is stopped; update_auto_scaling_group changes the type of all of them."
        )
    if server.state not in {"running", "stopped"}:
        raise BadInputError(f"{instance_id} is {server.state}; only a running or stopped one can.")
    if server.root_device != "ebs" or server.lifecycle == "spot":
        kind = "a spot instance" if server.lifecycle else "on an instance-store disk"
        raise BadInputError(f"{instance_id} is {kind} and cannot be resized; make another.")
    ec2 = a.client("ec2")
    try:
        (described,) = ec2.describe_instance_types(InstanceTypes=[wanted])["InstanceTypes"]
    except Exception as exc:
        if "InvalidInstanceType" not in str(exc):
            raise
        raise BadInputError(f"instance_type {wanted!r} is not offered in {a.region}.") from exc
    architectures = described["ProcessorInfo"]["SupportedArchitectures"]
    if server.architecture and server.architecture not in architectures:
        raise BadInputError(
            f"instance_type {wanted} is {'/'.join(architectures)}, and the disk of {instance_id} "
            f"holds a system for {server.architecture}; choose a type of that architecture."
        )
    if described.get("NetworkInfo", {}).get("EnaSupport") == "required" and not server.ena:
        raise BadInputError(
            f"instance_type {wanted} needs enhanced networking (ENA), which {instance_id} has not "
            "enabled."
        )
    zone = [
        {"Name": "location", "Values": [server.az]},
        {"Name": "instance-type", "Values": [wanted]},
    ]
    offered = a.pages(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=zone,
    )
    if not any(offer["InstanceType"] == wanted for offer in offered):
        raise BadInputError(f"instance_type {wanted} is not offered in {server.az}.")


def _warnings(server: Server) -> list[str]:
    if server.state == "stopped":
        return []
    said = [
        "The server is down for some minutes while it is stopped and started; so it is by an undo.",
        "What is on instance-store disks and in memory is lost.",
        "When its zone has no capacity for the type, it stays stopped until it is started again or "
        "the change undone.",
    ]
    if not server.keeps_public_ip:
        said.append(f"Its public address {server.public_ip} becomes another one.")
    return said


def _apply(
    a: Aws, rec: Recorder, instance_id: str, server: Server, wanted: str, target: AwsTarget
) -> ResizedInstance:
    ec2, which = a.client("ec2"), {"InstanceIds": [instance_id]}
    # Kept with the first step: a call that was cut off may find the server stopped.
    before: dict[str, str] = rec.step(
        f"type of {instance_id} before",
        lambda: {"type": server.type, "state": server.state},
        undo=[return_type(instance_id, server, target, a.region)],
        resource=ResourceRef(type=INSTANCE, id=instance_id, name=instance_id, action="modified"),
    )
    was_running = before["state"] == "running"
    if was_running:
        rec.step(f"stop {instance_id}", lambda: send(ec2.stop_instances, **which))
        _reach(a, rec, instance_id, "stopped")
    kind = {"Value": wanted}
    rec.step(
        f"type {wanted} of {instance_id}",
        lambda: send(ec2.modify_instance_attribute, InstanceId=instance_id, InstanceType=kind),
    )
    if was_running:
        rec.step(f"start {instance_id}", lambda: send(ec2.start_instances, **which))
        _reach(a, rec, instance_id, "running")
    if a.is_emulator:
        rec.gap("The emulator boots no server: nothing runs on the instance.")
    return _outputs(instance_id, load_server(a, instance_id), was=before["type"])


def _reach(a: Aws, rec: Recorder, instance_id: str, state: str) -> None:
    rec.wait(
        f"instance {instance_id} {state}",
        lambda: load_server(a, instance_id).state == state,
        timeout_seconds=STATE_SECONDS,
    )


def _outputs(instance_id: str, server: Server, *, was: str) -> ResizedInstance:
    return ResizedInstance(
        instance_id=instance_id,
        instance_type=server.type,
        was=was,
        state=server.state,
        private_ip=server.private_ip,
        public_ip=server.public_ip,
    )


def judge_server(made: ResizedInstance, server: Server, wanted: str) -> list[Check]:
    """Whether the server has its type, and runs if it ran before."""
    facts = [
        ("It has the type asked for", server.type == wanted, server.type),
        (f"It is {made.state}", server.state == made.state, server.state),
    ]
    return [check(name, ok, evidence, made.instance_id) for name, ok, evidence in facts]
