"""A server and its type: read, and given the type back that it had."""

import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.lookup import first, must_exist
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.errors import NotFoundError, OpswrightError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

INSTANCE = "ec2:instance"
RETURN_TYPE = "ec2-instance-type"
"""The kind of undo step that gives a server the type and the state back that it had."""

GROUP_TAG = "aws:autoscaling:groupName"
STATE_SECONDS = 900.0
"""A server that does not heed the shutdown is stopped by force after some minutes."""


class Server(BaseModel):
    """What was read of an instance."""

    type: str
    state: str
    az: str
    architecture: str
    ena: bool
    root_device: str
    group: str
    lifecycle: str
    private_ip: str | None
    public_ip: str | None
    keeps_public_ip: bool
    """Whether the public address is an elastic one, or there is none."""


def load_server(a: Aws, instance_id: str) -> Server:
    """Read an instance. Raises NotFoundError, also for one that is terminated."""
    ec2 = a.client("ec2")
    found = must_exist(
        f"Instance {instance_id}",
        lambda: ec2.describe_instances(InstanceIds=[instance_id])["Reservations"],
    )
    server = first([i for reservation in found for i in reservation["Instances"]])
    if server is None or server["State"]["Name"] == "terminated":
        raise NotFoundError(f"Instance {instance_id} is terminated.")
    addresses = [
        interface.get("Association", {}).get("IpOwnerId", "amazon")
        for interface in server.get("NetworkInterfaces", [])
        if interface.get("Association")
    ]
    return Server(
        type=server["InstanceType"],
        state=server["State"]["Name"],
        az=server["Placement"]["AvailabilityZone"],
        architecture=server.get("Architecture", ""),
        ena=bool(server.get("EnaSupport", True)),
        root_device=server.get("RootDeviceType", "ebs"),
        group=tags_of(server.get("Tags")).get(GROUP_TAG, ""),
        lifecycle=server.get("InstanceLifecycle", ""),
        private_ip=server.get("PrivateIpAddress"),
        public_ip=server.get("PublicIpAddress"),
        keeps_public_ip=not server.get("PublicIpAddress")
        or any(owner != "amazon" for owner in addresses),
    )


def return_type(instance_id: str, server: Server, target: AwsTarget, region: str) -> UndoStep:
    """The inverse of another type: the one that the server has now, stopped for it and started."""
    return UndoStep(
        kind=RETURN_TYPE,
        description=f"make {instance_id} a {server.type} again, {server.state} as it was",
        args={
            "instance_id": instance_id,
            "type": server.type,
            "state": server.state,
            "target": target.model_copy(update={"region": region}).model_dump(exclude_none=True),
        },
    )


class TypeUndo:
    """Gives a server its former type back; one that is gone is no error."""

    def replay(self, step: UndoStep) -> None:
        """Stop, change and start what is not as it was. Raises OpswrightError at the deadline."""
        a, args = aws(AwsTarget(**step.args["target"])), step.args
        instance_id, ec2 = args["instance_id"], a.client("ec2")
        which = {"InstanceIds": [instance_id]}
        try:
            server = load_server(a, instance_id)
        except NotFoundError:
            return
        if server.type != args["type"]:
            if server.state != "stopped":
                _until(lambda: load_server(a, instance_id).state != "pending", instance_id)
                ec2.stop_instances(**which)
                _until(lambda: load_server(a, instance_id).state == "stopped", instance_id)
            ec2.modify_instance_attribute(
                InstanceId=instance_id, InstanceType={"Value": args["type"]}
            )
        if args["state"] == "running":
            _until(lambda: load_server(a, instance_id).state != "stopping", instance_id)
            ec2.start_instances(**which)
            _until(lambda: load_server(a, instance_id).state == "running", instance_id)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the server has its former type and state, or is gone."""
        args = step.args

        def read() -> tuple[str, str] | None:
            try:
                server = load_server(aws(AwsTarget(**args["target"])), args["instance_id"])
            except NotFoundError:
                return None
            return server.type, server.state

        found: Any = attempt(read)
        if isinstance(found, Unread):
            return check(step.description, found)
        so = found is None or found == (args["type"], args["state"])
        evidence = "it is gone" if found is None else f"a {found[0]}, {found[1]}"
        return check(step.description, so, evidence)


def _until(ready: Callable[[], bool], instance_id: str) -> None:
    deadline, pause = time.monotonic() + STATE_SECONDS, 0.1
    while not ready():
        if time.monotonic() > deadline:
            raise OpswrightError(
                f"{instance_id} did not change its state within {STATE_SECONDS:.0f} s."
            )
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
