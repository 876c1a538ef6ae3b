"""Skills that write infrastructure as code, of what is to be and of what is there."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from opswright_aws_devops.skills.building import Name
from opswright_aws_devops.skills.wordings import InVpc
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

Format = Annotated[
    Literal["cloudformation", "terraform", "boto3"],
    BeforeValidator(str.lower),
    Field(description="As what"),
    FromText(r"(?i)\b(cloudformation|terraform|boto3)\b"),
]
Whole = Annotated[
    Literal["network", "application"],
    BeforeValidator(str.lower),
    Field(description="application: three tiers with servers, balancer and database"),
    FromText(r"(?i)\b(application|network)\b"),
]

NETWORK: dict[str, Any] = {"tool": "create_network"}
APPLICATION: list[dict[str, Any]] = [
    NETWORK,
    {"tool": "create_security_groups", "arguments": {"vpc_id": "${network.vpc_id}"}},
    {
        "tool": "create_database",
        "arguments": {
            "subnet_ids": "${network.database_subnet_ids}",
            "security_group_ids": ["${security_groups.database_sg_id}"],
        },
    },
    {
        "tool": "create_load_balancer",
        "arguments": {
            "vpc_id": "${network.vpc_id}",
            "subnet_ids": "${network.public_subnet_ids}",
            "security_group_ids": ["${security_groups.load_balancer_sg_id}"],
        },
    },
    {
        "tool": "create_web_tier",
        "arguments": {
            "subnet_ids": "${network.private_subnet_ids}",
            "security_group_ids": ["${security_groups.app_sg_id}"],
            "target_group_arn": "${load_balancer.target_group_arn}",
        },
    },
]


class CodeWanted(InRegion):
    """What to write, and as what."""

    name: Name
    whole: Whole = "network"
    format: Format = "cloudformation"


class VpcWanted(InVpc):
    """Which VPC to write down, and as what."""

    format: Format = "cloudformation"


@skill(
    "write the CloudFormation template of a network named shop",
    "write me Terraform code for a three-tier application called shop",
    "generate a boto3 script for a network named blog",
)
async def write_infrastructure_code(worker: Worker, inputs: CodeWanted) -> Outcome:
    """Write a CloudFormation template, Terraform code or a boto3 script; nothing is built."""
    steps = APPLICATION if inputs.whole == "application" else [NETWORK]
    named = [
        {**step, "arguments": {"name": inputs.name, **step.get("arguments", {})}} for step in steps
    ]
    written = await worker.call(
        "export_application", steps=named, format=inputs.format, **inputs.where
    )
    return Outcome(summary=f"{written['summary']}. Nothing was built.", outputs=written)


@skill(
    "export vpc-0a1b2c as a CloudFormation template",
    "write the existing vpc-0a1b2c3d as Terraform code",
)
async def export_vpc_as_code(worker: Worker, inputs: VpcWanted) -> Outcome:
    """Export an existing VPC with all that is in it as CloudFormation, Terraform or a script."""
    vpc_id = await inputs.found(worker)
    written = await worker.call(
        "export_resources", vpc_id=vpc_id, format=inputs.format, **inputs.where
    )
    missing = written["left_out"]
    said = f" Left out: {len(missing)}, first {missing[0]}." if missing else ""
    return Outcome(summary=f"{written['summary']}.{said}", outputs=written)
