"""Reads and checks where something is to be placed: VPC, subnets, security groups."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError

VpcId = Annotated[str, Field(description="Like vpc-0a1b2c3d", max_length=40)]


class Placement(BaseModel):
    """The subnets of one VPC in which something is placed."""

    model_config = ConfigDict(frozen=True)
    vpc_id: str
    azs: list[str]
    """Distinct availability zones, sorted."""


def must_find_vpc(a: Aws, vpc_id: str) -> dict[str, Any]:
    """The VPC of an id. Raises NotFoundError."""
    ec2 = a.client("ec2")
    answer = must_exist(f"VPC {vpc_id}", lambda: ec2.describe_vpcs(VpcIds=[vpc_id]))
    vpc: dict[str, Any] = answer["Vpcs"][0]
    return vpc


def place(
    a: Aws, subnet_ids: list[str], security_group_ids: list[str], *, least_azs: int = 2
) -> Placement:
    """Check that the subnets and groups exist, share one VPC, and span enough zones.

    Raises NotFoundError for an unknown id and BadInputError for what does not fit together.
    """
    if len(set(subnet_ids)) != len(subnet_ids):
        raise BadInputError("subnet_ids names a subnet twice; give each once.")
    ec2 = a.client("ec2")
    subnets = must_exist(
        f"one of the subnets {', '.join(subnet_ids)}",
        lambda: ec2.describe_subnets(SubnetIds=subnet_ids)["Subnets"],
    )
    groups = must_exist(
        f"one of the security groups {', '.join(security_group_ids)}",
        lambda: ec2.describe_security_groups(GroupIds=security_group_ids)["SecurityGroups"],
    )
    vpcs = {subnet["VpcId"] for subnet in subnets}
    if len(vpcs) != 1:
        raise BadInputError(
            f"The subnets are in different VPCs ({', '.join(sorted(vpcs))}); "
            "give subnets of one VPC."
        )
    (vpc_id,) = vpcs
    if strangers := [group["GroupId"] for group in groups if group["VpcId"] != vpc_id]:
        raise BadInputError(
            f"{', '.join(strangers)} is not in the subnets' VPC {vpc_id}; "
            "give security groups of that VPC."
        )
    azs = sorted({subnet["AvailabilityZone"] for subnet in subnets})
    if len(azs) < least_azs:
        raise BadInputError(
            f"The subnets are all in {', '.join(azs)}; "
            f"give subnets in at least {least_azs} availability zones."
        )
    return Placement(vpc_id=vpc_id, azs=azs)
