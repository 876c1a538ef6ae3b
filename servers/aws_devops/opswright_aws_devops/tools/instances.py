"""Single EC2 instances: no key and no open port, but Session Manager; IMDSv2, encrypted."""

import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.access.roles import ROLE, find_role
from opswright_aws_devops.instances.profile import PROFILE, make_profile
from opswright_aws_devops.instances.setup import (
    NEWEST,
    ROOT_DISK_GB,
    BootScript,
    DiskSize,
    ImageName,
    InstanceType,
    choose_image,
    launch_data,
)
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Maker, Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

INSTANCE = "ec2:instance"
RUNNING_SECONDS = 600.0
_GONE = {"terminated", "shutting-down"}


class Instance(BaseModel):
    """A server; `aws ssm start-session --target INSTANCE_ID` opens a shell on it."""

    instance_id: str
    private_ip: str
    public_ip: str | None
    az: str
    image_id: str
    instance_profile_arn: str


@write_tool(toolset="compute")
def create_instance(
    name: ResourceName,
    subnet_id: Annotated[str, Field(description="Best a private one", max_length=40)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    instance_type: InstanceType = "t3.small",
    image: ImageName = NEWEST,
    disk_gb: DiskSize = ROOT_DISK_GB,
    user_data: BootScript = "",
    target: Target = HERE,
) -> Work[Instance]:
    """Create a single Linux server: Session Manager instead of SSH, IMDSv2, encrypted disk.

    For a service that has to outlive a zone, create_web_tier makes a group.
    """
    a = aws(target)
    settings = {
        "subnet": subnet_id,
        "groups": security_group_ids,
        "type": instance_type,
        "image": image,
        "disk_gb": disk_gb,
        "user_data": hashlib.sha256(user_data.encode()).hexdigest(),
    }
    request = Request.of("create_instance", name, **settings)

    def launch(profile_arn: str) -> dict[str, Any]:
        booted = choose_image(a, image, instance_type)
        data = launch_data(
            request,
            image_id=booted.id,
            instance_type=instance_type,
            profile_arn=profile_arn,
            security_group_ids=security_group_ids,
            user_data="",
            disk_gb=disk_gb,
            root_device=booted.root_device,
        )
        return {**data, "UserData": user_data, "SubnetId": subnet_id}  # boto3 encodes it itself

    def plan() -> ChangePlan:
        az = place(a, [subnet_id], security_group_ids, least_azs=1).azs[0]
        booted = choose_image(a, image, instance_type)
        known = _known(a, request)
        wanted = [
            Action(verb="create", type=ROLE, name=name, detail="Session Manager"),
            Action(verb="create", type=PROFILE, name=name),
            Action(verb="create", type=INSTANCE, name=name, detail=f"{instance_type} in {az}"),
        ]
        return ChangePlan(
            summary=f"Create instance {name} ({instance_type}, {booted.id}) in {az}",
            actions=outstanding(wanted, known),
            warnings=_warnings(a, subnet_id),
            observed={"known": sorted(known), "image": booted.id},
        )

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=lambda rec: _apply(a, rec, request, launch, target),
        verify=lambda made: judge_instance(
            made,
            load_instance(a, made.instance_id),
            _disks(a, made.instance_id),
            emulator=a.is_emulator,
        ),
        outputs=Instance,
        arguments={"name": name, **settings, "target": target.model_dump(exclude_none=True)},
    )


def load_instance(a: Aws, instance_id: str) -> dict[str, Any] | None:
    """EC2's description of an instance that is not gone, or None."""
    ec2 = a.client("ec2")
    found = if_exists(lambda: ec2.describe_instances(InstanceIds=[instance_id])["Reservations"])
    instances = [i for reservation in found or [] for i in reservation["Instances"]]
    return first([i for i in instances if i["State"]["Name"] not in _GONE])


def _disks(a: Aws, instance_id: str) -> list[dict[str, Any]]:
    attached = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    return a.pages("ec2", "describe_volumes", "Volumes", Filters=attached)


def _known(a: Aws, request: Request) -> dict[str, str]:
    """Ids of the parts that the request made, by key. Raises ConflictError for another's name."""
    iam, name = a.client("iam"), request.name
    known = {}
    if find_role(a, request, name):
        known[key(ROLE, name)] = name
    profile = if_exists(lambda: iam.get_instance_profile(InstanceProfileName=name))
    if profile:
        found = profile["InstanceProfile"]
        request.claim(f"instance profile {name}", tags_of(found.get("Tags")))
        known[key(PROFILE, name)] = name
    reservations = a.pages("ec2", "describe_instances", "Reservations", Filters=request.filters)
    for instance in (i for reservation in reservations for i in reservation["Instances"]):
        if instance["State"]["Name"] not in _GONE:
            known[key(INSTANCE, name)] = instance["InstanceId"]
    return known


def _warnings(a: Aws, subnet_id: str) -> list[str]:
    ec2 = a.client("ec2")
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    warnings = [
        "It is billed by the hour, and is one server: it stops when its zone does.",
        "Undoing this terminates it and deletes its disk with what is on it by then.",
        "Session Manager needs a way to AWS: NAT, or endpoints (check_session_access tells).",
    ]
    if subnet.get("MapPublicIpOnLaunch"):
        warnings.append(f"{subnet_id} gives it a public address.")
    return warnings


def _apply(a: Aws, rec: Recorder, request: Request, launch: Any, target: AwsTarget) -> Instance:
    ec2, name = a.client("ec2"), request.name
    known = _known(a, request)
    profile_arn = make_profile(a, rec, request, None, target)

    def create() -> str:
        made = ec2.run_instances(
            MinCount=1, MaxCount=1, ClientToken=rec.change_id, **launch(profile_arn)
        )
        return str(made["Instances"][0]["InstanceId"])

    def undo(made: str) -> list[UndoStep]:
        which = {"InstanceIds": [made]}
        left = "Reservations[].Instances[] | [?State.Name!='terminated']"
        return [
            aws_undo(
                f"terminate instance {made} with its disk", "ec2", "terminate_instances", which,
                target=target, region=a.region, gone=("describe_instances", which, left),
                wait_gone=True,
            )
        ]  # fmt: skip

    instance_id = Maker(rec, known).make(INSTANCE, name, create, undo)

    def ready() -> bool:
        found = load_instance(a, instance_id)
        if found is None:
            raise OpswrightError(
                f"Instance {instance_id} ended as it was started (AWS keeps the reason in its "
                "StateReason): undo this change, mend the cause, and call again."
            )
        return bool(found["State"]["Name"] == "running")

    rec.wait(f"instance {instance_id} running", ready, timeout_seconds=RUNNING_SECONDS)
    found = load_instance(a, instance_id) or {}
    if a.is_emulator:
        rec.gap("The emulator boots no server: nothing runs on the instance.")
        if (found.get("MetadataOptions") or {}).get("HttpTokens") != "required":
            rec.gap("The emulator does not keep IMDSv2 of an instance.")
        if not all(disk["Encrypted"] for disk in _disks(a, instance_id)):
            rec.gap("The emulator does not keep the encryption of the disk.")
    return Instance(
        instance_id=instance_id,
        private_ip=found["PrivateIpAddress"],
        public_ip=found.get("PublicIpAddress"),
        az=found["Placement"]["AvailabilityZone"],
        image_id=found["ImageId"],
        instance_profile_arn=profile_arn,
    )


def judge_instance(
    made: Instance,
    found: dict[str, Any] | None,
    disks: list[dict[str, Any]],
    *,
    emulator: bool,
) -> list[Check]:
    """Whether the server runs and is closed; what an emulator does not keep is its gap."""
    if found is None:
        return [check("Instance exists", False, "EC2 knows none of that id", made.instance_id)]
    state = found["State"]["Name"]
    profile = (found.get("IamInstanceProfile") or {}).get("Arn")
    facts = [
        ("Instance is running", state == "running", state),
        ("It has its role", profile == made.instance_profile_arn, str(profile)),
        ("It has no key pair", not found.get("KeyName"), str(found.get("KeyName", ""))),
    ]
    if not emulator:
        tokens = (found.get("MetadataOptions") or {}).get("HttpTokens")
        encrypted = bool(disks) and all(disk["Encrypted"] for disk in disks)
        facts += [
            ("It takes IMDSv2 alone", tokens == "required", str(tokens)),
            ("Its disks are encrypted", encrypted, f"{len(disks)} disks"),
        ]
    return [check(name, ok, evidence, made.instance_id) for name, ok, evidence in facts]
