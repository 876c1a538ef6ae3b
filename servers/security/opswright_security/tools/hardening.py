"""Hardens buckets and instances, and can restore what they were."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target, is_absent
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, attempt, check
from opswright_security.checks.storage import BLOCKS


class BlockedBucket(BaseModel):
    """A bucket whose public access is blocked."""

    model_config = ConfigDict(frozen=True)
    bucket: str


class TokensRequired(BaseModel):
    """An instance that asks for IMDSv2."""

    model_config = ConfigDict(frozen=True)
    instance_id: str


@write_tool()
def block_public_access(
    bucket: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]$", description="Bucket")
    ],
    target: Target = HERE,
) -> Work[BlockedBucket]:
    """Block all public access to an S3 bucket."""
    a = aws(target)
    s3 = a.client("s3")
    wanted = dict.fromkeys(BLOCKS, True)

    def read() -> dict[str, bool]:
        return _block(s3, bucket)

    def plan() -> ChangePlan:
        before = read()
        missing = [name for name in BLOCKS if not before.get(name)]
        if not missing:
            return ChangePlan(summary=f"{bucket} blocks public access already.", actions=[])
        return ChangePlan(
            summary=f"Block public access to {bucket}",
            actions=[
                Action(
                    verb="modify",
                    type="s3:public-access-block",
                    name=bucket,
                    detail=f"turn on {', '.join(missing)}",
                )
            ],
            warnings=["A site or download served straight from the bucket stops working."],
            observed={"block": before},
        )

    def apply(rec: Recorder) -> BlockedBucket:
        before = read()
        if before:
            tests = " && ".join(f"{k}==`{str(v).lower()}`" for k, v in before.items())
            undo = aws_undo(
                f"restore the public access block of {bucket}",
                "s3",
                "put_public_access_block",
                {"Bucket": bucket, "PublicAccessBlockConfiguration": before},
                target=target,
                region=a.region,
                gone=(
                    "get_public_access_block",
                    {"Bucket": bucket},
                    f"[PublicAccessBlockConfiguration] | [?!({tests})]",
                ),
            )
        else:
            undo = aws_undo(
                f"remove the public access block of {bucket}",
                "s3",
                "delete_public_access_block",
                {"Bucket": bucket},
                target=target,
                region=a.region,
                gone=(
                    "get_public_access_block",
                    {"Bucket": bucket},
                    "PublicAccessBlockConfiguration",
                ),
            )
        rec.step(
            f"block public access to {bucket}",
            lambda: {
                "sent": bool(
                    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)
                )
            },
            undo=[undo],
            resource=ResourceRef(type="s3:bucket", id=bucket, name=bucket, action="modified"),
        )
        return BlockedBucket(bucket=bucket)

    def verify(_: BlockedBucket) -> list[Check]:
        blocked = attempt(lambda: read() == wanted)
        return [check("All four settings are on", blocked, "read back from the bucket", bucket)]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=lambda: BlockedBucket(bucket=bucket),
        outputs=BlockedBucket,
    )


def _block(s3: Any, bucket: str) -> dict[str, bool]:
    """A bucket's own block, empty when it has none. Raises NotFoundError for an unknown bucket."""
    try:
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except Exception as exc:
        if "NoSuchPublicAccessBlock" in str(exc):
            return {}
        if is_absent(exc):
            raise NotFoundError(f"No bucket {bucket!r} that these credentials can see.") from exc
        raise
    return {name: bool(found.get(name)) for name in BLOCKS}


@write_tool()
def require_imdsv2(
    instance_id: Annotated[str, Field(pattern=r"^i-[0-9a-f]+$", description="EC2 instance")],
    target: Target = HERE,
) -> Work[TokensRequired]:
    """Make an EC2 instance refuse IMDSv1."""
    a = aws(target)
    ec2 = a.client("ec2")

    def read() -> dict[str, Any]:
        return _metadata(ec2, instance_id)

    def plan() -> ChangePlan:
        before = read()
        if before.get("HttpTokens") == "required":
            return ChangePlan(summary=f"{instance_id} asks for IMDSv2 already.", actions=[])
        return ChangePlan(
            summary=f"Require IMDSv2 on {instance_id}",
            actions=[
                Action(
                    verb="modify",
                    type="ec2:instance",
                    name=instance_id,
                    detail=f"HttpTokens {before.get('HttpTokens', 'optional')} → required",
                )
            ],
            warnings=["Software with an AWS SDK from before late 2019 loses its credentials."],
            observed={"HttpTokens": before.get("HttpTokens")},
        )

    def apply(rec: Recorder) -> TokensRequired:
        before = str(read().get("HttpTokens", "optional"))
        restore = aws_undo(
            f"set HttpTokens of {instance_id} back to {before}",
            "ec2",
            "modify_instance_metadata_options",
            {"InstanceId": instance_id, "HttpTokens": before},
            target=target,
            region=a.region,
            gone=(
                "describe_instances",
                {"InstanceIds": [instance_id]},
                f"Reservations[].Instances[?MetadataOptions.HttpTokens!='{before}'][]",
            ),
        )
        rec.step(
            f"require IMDSv2 on {instance_id}",
            lambda: {
                "sent": bool(
                    ec2.modify_instance_metadata_options(
                        InstanceId=instance_id, HttpTokens="required"
                    )
                )
            },
            undo=[restore],
            resource=ResourceRef(
                type="ec2:instance", id=instance_id, name=instance_id, action="modified"
            ),
        )
        return TokensRequired(instance_id=instance_id)

    def verify(_: TokensRequired) -> list[Check]:
        required = attempt(lambda: read().get("HttpTokens") == "required")
        return [check("IMDSv2 is required", required, "read back from EC2", instance_id)]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=lambda: TokensRequired(instance_id=instance_id),
        outputs=TokensRequired,
    )


def _metadata(ec2: Any, instance_id: str) -> dict[str, Any]:
    try:
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    except Exception as exc:
        if is_absent(exc):
            found = []
        else:
            raise
    if not found:
        raise NotFoundError(f"No instance {instance_id} in this region; target names another one.")
    options: dict[str, Any] = found[0]["Instances"][0].get("MetadataOptions") or {}
    return options
