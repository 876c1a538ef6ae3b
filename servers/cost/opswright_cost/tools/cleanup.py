"""Removes an unattached volume (kept as a snapshot) or an unassociated Elastic IP."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Aws, Target, is_absent, tag_list, tags_of
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import ConflictError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import destructive_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, attempt, check
from opswright_cost.prices import price_book

RESTORED_FROM = "opswright:restored-from"
SNAPSHOT_SECONDS = 4 * 3600.0


class VolumeDeleted(BaseModel):
    """The volume that is gone and the snapshot that keeps its content."""

    volume_id: str
    snapshot_id: str


class AddressReleased(BaseModel):
    """The Elastic IP that was given back."""

    allocation_id: str
    public_ip: str


@destructive_tool("cleanup")
def delete_unattached_volume(
    volume_id: Annotated[
        str, Field(description="Attached to nothing", pattern=r"^vol-[0-9a-f]{8,17}$")
    ],
    target: Target = HERE,
) -> Work[VolumeDeleted]:
    """Delete an unattached EBS volume after a snapshot; undo makes the volume from it."""
    a = aws(target)
    ec2 = a.client("ec2")

    def plan() -> ChangePlan:
        volume = _volume(a, volume_id)
        if volume is None:
            raise NotFoundError(
                f"There is no volume {volume_id} in {a.region}. find_waste lists unattached ones."
            )
        _refuse_attached(volume)
        unit = price_book(a.region).find("snapshot_gb_month")
        cost = f", at most ${unit * volume['Size']:,.2f} a month" if unit else ""
        detail = f"{volume['Size']} GB {volume['VolumeType']} in {volume['AvailabilityZone']}"
        return ChangePlan(
            summary=f"Snapshot and delete volume {volume_id} ({detail})",
            actions=[
                Action(verb="create", type="ec2:snapshot", name=f"of {volume_id}"),
                Action(verb="delete", type="ec2:volume", name=volume_id, detail=detail),
            ],
            warnings=[f"The snapshot stays, also after an undo, until you delete it{cost}."],
            observed={"state": volume["State"], "size": volume["Size"]},
        )

    def apply(rec: Recorder) -> VolumeDeleted:
        before = rec.step("read volume", lambda: _settings(a, volume_id))
        snapshot_id = rec.step(
            "create snapshot",
            lambda: _snapshot(ec2, volume_id),
            resource=lambda made: ResourceRef(type="ec2:snapshot", id=made["snapshot_id"]),
            find=lambda: _made_snapshot(a, volume_id),
        )["snapshot_id"]
        rec.wait(
            f"snapshot {snapshot_id} completed",
            lambda: _snapshot_state(ec2, snapshot_id) == "completed",
            timeout_seconds=SNAPSHOT_SECONDS,
            every_seconds=15,
        )
        rec.step(
            "delete volume",
            lambda: _delete(a, volume_id),
            undo=[_restore(volume_id, snapshot_id, before, target, a.region)],
            resource=ResourceRef(type="ec2:volume", id=volume_id, action="deleted"),
            find=lambda: {"deleted": volume_id} if _volume(a, volume_id) is None else None,
        )
        return VolumeDeleted(volume_id=volume_id, snapshot_id=snapshot_id)

    def verify(made: VolumeDeleted) -> list[Check]:
        gone = attempt(lambda: _volume(a, made.volume_id) is None)
        kept = attempt(lambda: _snapshot_state(ec2, made.snapshot_id) == "completed")
        return [
            check("the volume is gone", gone, resource=made.volume_id),
            check("the snapshot is complete", kept, resource=made.snapshot_id),
        ]

    return Work(scope=Scope.of(a), plan=plan, apply=apply, verify=verify, outputs=VolumeDeleted)


@destructive_tool("cleanup")
def release_address(
    allocation_id: Annotated[
        str, Field(description="Of the address", pattern=r"^eipalloc-[0-9a-f]{8,17}$")
    ],
    target: Target = HERE,
) -> Work[AddressReleased]:
    """Release an unassociated Elastic IP. Cannot be undone: the address is not had again."""
    a = aws(target)

    def plan() -> ChangePlan:
        address = _address(a, allocation_id)
        if address is None:
            raise NotFoundError(
                f"There is no Elastic IP {allocation_id} in {a.region}. "
                "find_waste lists unassociated ones."
            )
        if address.get("AssociationId"):
            user = address.get("InstanceId") or address.get("NetworkInterfaceId") or "something"
            raise ConflictError(
                f"{allocation_id} ({address['PublicIp']}) is in use by {user}; "
                "nothing was released."
            )
        ip = address["PublicIp"]
        return ChangePlan(
            summary=f"Release Elastic IP {ip}",
            actions=[Action(verb="delete", type="ec2:elastic-ip", name=ip, detail=allocation_id)],
            warnings=[f"{ip} goes back to AWS; check DNS records and allow-lists that name it."],
            reversible=False,
            observed={"public_ip": ip},
        )

    def apply(rec: Recorder) -> AddressReleased:
        def read() -> dict[str, str]:
            address = _address(a, allocation_id)
            return {"public_ip": address["PublicIp"] if address else ""}

        ip = rec.step("read address", read)["public_ip"]

        def release() -> dict[str, str]:
            a.client("ec2").release_address(AllocationId=allocation_id)
            return {"released": allocation_id}

        rec.step(
            "release address",
            release,
            resource=ResourceRef(
                type="ec2:elastic-ip", id=allocation_id, name=ip, action="deleted"
            ),
            find=lambda: (
                {"released": allocation_id} if _address(a, allocation_id) is None else None
            ),
        )
        return AddressReleased(allocation_id=allocation_id, public_ip=ip)

    def verify(made: AddressReleased) -> list[Check]:
        gone = attempt(lambda: _address(a, made.allocation_id) is None)
        return [check("the address is released", gone, resource=made.allocation_id)]

    return Work(scope=Scope.of(a), plan=plan, apply=apply, verify=verify, outputs=AddressReleased)


def _volume(a: Aws, volume_id: str) -> dict[str, Any] | None:
    try:
        found = a.client("ec2").describe_volumes(VolumeIds=[volume_id])["Volumes"]
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
    return next((v for v in found if v["State"] not in {"deleting", "deleted"}), None)


def _address(a: Aws, allocation_id: str) -> dict[str, Any] | None:
    try:
        found = a.client("ec2").describe_addresses(AllocationIds=[allocation_id])["Addresses"]
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
    return found[0] if found else None


def _refuse_attached(volume: Mapping[str, Any]) -> None:
    if volume["State"] != "available":
        to = ", ".join(at["InstanceId"] for at in volume.get("Attachments", [])) or "something"
        raise ConflictError(
            f"{volume['VolumeId']} is {volume['State']} (attached to {to}); nothing was deleted."
        )


def _settings(a: Aws, volume_id: str) -> dict[str, Any]:
    """What is needed to make the volume again, as parameters of CreateVolume."""
    volume = _volume(a, volume_id)
    if volume is None:
        raise NotFoundError(f"Volume {volume_id} is gone; nothing was done.")
    kept = ["AvailabilityZone", "Size", "VolumeType", "Encrypted", "KmsKeyId"]
    if volume["VolumeType"] in {"gp3", "io1", "io2"}:
        kept.append("Iops")
    if volume["VolumeType"] == "gp3":
        kept.append("Throughput")
    params = {key: volume[key] for key in kept if volume.get(key)}
    tags = {k: v for k, v in tags_of(volume.get("Tags")).items() if not k.startswith("aws:")}
    return {"params": params, "tags": tags}


def _snapshot(ec2: Any, volume_id: str) -> dict[str, str]:
    tags = {
        "Name": f"before deleting {volume_id}",
        "managed-by": "opswright",
        "opswright:volume": volume_id,
    }
    made = ec2.create_snapshot(
        VolumeId=volume_id,
        Description=f"opswright: before deleting {volume_id}",
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(tags)}],
    )
    return {"snapshot_id": made["SnapshotId"]}


def _made_snapshot(a: Aws, volume_id: str) -> dict[str, str] | None:
    by_tag = [{"Name": "tag:opswright:volume", "Values": [volume_id]}]
    found = a.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=by_tag)
    return {"snapshot_id": found[0]["SnapshotId"]} if found else None


def _snapshot_state(ec2: Any, snapshot_id: str) -> str:
    found = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    return str(found[0]["State"]) if found else "absent"


def _delete(a: Aws, volume_id: str) -> dict[str, str]:
    volume = _volume(a, volume_id)
    if volume is not None:
        _refuse_attached(volume)  # it may have been attached while the snapshot was taken
        a.client("ec2").delete_volume(VolumeId=volume_id)
    return {"deleted": volume_id}


def _restore(
    volume_id: str, snapshot_id: str, before: dict[str, Any], target: Any, region: str
) -> UndoStep:
    tags = {**before["tags"], RESTORED_FROM: volume_id}
    specification = {"ResourceType": "volume", "Tags": tag_list(tags)}
    restored = [{"Name": f"tag:{RESTORED_FROM}", "Values": [volume_id]}]
    return aws_undo(
        f"make volume {volume_id} again from {snapshot_id} (it gets a new id)",
        "ec2",
        "create_volume",
        {**before["params"], "SnapshotId": snapshot_id, "TagSpecifications": [specification]},
        target=target,
        region=region,
        gone=("describe_volumes", {"Filters": restored}, "length(Volumes) == `0`"),
    )
