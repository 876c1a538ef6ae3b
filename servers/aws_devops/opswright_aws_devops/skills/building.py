"""Skills that build: a bucket, a network, a whole three-tier environment."""

from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_core.agent.place import InRegion
from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

_NAMED = r"(?:named|called|name)\s+[\"'`]?([a-z0-9][a-z0-9-]*[a-z0-9])"
Name = Annotated[
    str, Field(description="Name for what is made: lower case, hyphens"), FromText(_NAMED)
]
Cidr = Annotated[
    str, Field(description="IPv4 range of the VPC"), FromText(r"\b(\d+\.\d+\.\d+\.\d+/\d+)")
]
Zones = Annotated[
    int,
    Field(description="Number of availability zones", ge=2, le=4),
    FromText(r"\b([2-4])\s+(?:availability\s+)?(?:zones|azs)\b"),
]


class BucketWanted(InRegion):
    """Which bucket to make."""

    name: Name


class NetworkWanted(InRegion):
    """Which network to make."""

    name: Name
    cidr: Cidr = "10.0.0.0/16"
    az_count: Zones = 2


class ThreeTierWanted(NetworkWanted):
    """Which three-tier environment to make."""

    app_port: int = 8080
    engine: Literal["postgres", "mysql"] = "postgres"
    instance_type: str = "t3.small"
    artifact_bucket: str | None = None


@skill(
    "create an encrypted S3 bucket named my-bucket",
    "make a private bucket called logs",
    risk="write",
)
async def create_encrypted_bucket(worker: Worker, inputs: BucketWanted) -> Outcome:
    """Create a private, encrypted, versioned S3 bucket."""
    change = await worker.call("create_bucket", name=inputs.name, **inputs.where)
    made = change["outputs"]
    return Outcome(
        summary=f"Bucket {made['bucket']} is there: encrypted, versioned, no public access.",
        outputs=made,
        memories=[Memory(kind="fact", text=f"Bucket {made['bucket']} in {made['region']}")],
    )


@skill(
    "build a network for a three-tier application",
    "build a network called blog",
    "create a VPC named shop with private subnets",
    "set up a network with NAT gateways in 3 zones",
    risk="write",
)
async def build_network(worker: Worker, inputs: NetworkWanted) -> Outcome:
    """Build a VPC network with public, private and database subnets over availability zones."""
    change = await worker.call(
        "create_network",
        name=inputs.name,
        cidr=inputs.cidr,
        az_count=inputs.az_count,
        **inputs.where,
    )
    made = change["outputs"]
    said = f"Network {made['name']} ({made['vpc_id']}, {made['cidr']})"
    return Outcome(
        summary=f"{said} is there over {', '.join(made['azs'])}.",
        outputs=made,
        memories=[Memory(kind="fact", text=said)],
    )


@skill(
    "deploy a three-tier web application named shop with high availability",
    "create load balancer, web servers and database",
    "provision a highly available three-tier environment",
    risk="write",
)
async def build_three_tier(worker: Worker, inputs: ThreeTierWanted) -> Outcome:
    """Deploy what a web application runs on: servers, database and load balancer."""
    name, where = inputs.name, inputs.where

    async def make(tool: str, **arguments: Any) -> dict[str, Any]:
        change = await worker.call(tool, name=name, **arguments, **where)
        made: dict[str, Any] = change["outputs"]
        return made

    if short := await _quotas_in_the_way(worker, inputs):
        return Outcome(
            status="failed",
            summary=f"Nothing was made: the quotas leave no room for {name}: {short}. Remove what "
            "is not used, or ask AWS for more (Service Quotas), and call again.",
        )
    network = await make("create_network", cidr=inputs.cidr, az_count=inputs.az_count)
    vpc_id = network["vpc_id"]
    groups = await make(
        "create_security_groups",
        vpc_id=vpc_id,
        app_port=inputs.app_port,
        database_port=3306 if inputs.engine == "mysql" else 5432,
    )
    database = await make(
        "create_database",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
        engine=inputs.engine,
    )
    balancer = await make(
        "create_load_balancer",
        vpc_id=vpc_id,
        subnet_ids=network["public_subnet_ids"],
        security_group_ids=[groups["load_balancer_sg_id"]],
        target_port=inputs.app_port,
    )
    bucket = {"artifact_bucket": inputs.artifact_bucket} if inputs.artifact_bucket else {}
    web = await make(
        "create_web_tier",
        subnet_ids=network["private_subnet_ids"],
        security_group_ids=[groups["app_sg_id"]],
        target_group_arn=balancer["target_group_arn"],
        instance_type=inputs.instance_type,
        app_port=inputs.app_port,
        **bucket,
    )
    judged = await worker.call("verify_high_availability", vpc_id=vpc_id, **where)
    handover = {
        "asg_name": web["asg_name"],
        "target_group_arn": balancer["target_group_arn"],
        "load_balancer_name": balancer["load_balancer_name"],
        "load_balancer_arn": balancer["load_balancer_arn"],
        "url": balancer["url"],
        "db_instance_id": database["db_instance_id"],
        **bucket,
    }
    return Outcome(
        summary=f"{name} is up at {balancer['url']}, without a release yet. "
        f"High availability: {judged['verdict']}.",
        status="completed" if judged["verdict"] != "FAIL" else "partial",
        outputs={
            "network": network,
            "security_groups": groups,
            "database": database,
            "load_balancer": balancer,
            "web_tier": web,
            "high_availability": judged,
        },
        messages=[
            AgentMessage(recipient="cicd", content=f"{name} waits for its release.", data=handover),
            AgentMessage(recipient="metrics", content=f"{name} can be watched.", data=handover),
        ],
        memories=[Memory(kind="fact", text=f"{name}: {vpc_id}, {balancer['url']}")],
    )


async def _quotas_in_the_way(worker: Worker, inputs: ThreeTierWanted) -> str:
    """The quotas that leave no room for it, in words; looked at before anything is made.

    What could not be read is not in the way, and nothing is once the build was begun: what it made
    counts as used already. Only where `check_quota` is offered.
    """
    if "check_quota" not in {tool.name for tool in await worker.client.list_tools()}:
        return ""
    build = {
        "vpcs": 1, "internet_gateways": 1, "nat_gateways_per_zone": 1,
        "elastic_ips": inputs.az_count, "load_balancers": 1, "target_groups": 1,
        "auto_scaling_groups": 1, "instances": 2, "databases": 1,
    }  # fmt: skip
    asked = {"build": build, "instance_type": inputs.instance_type, "application": inputs.name}
    report, _, is_error = await worker.try_call("check_quota", asked | inputs.where)
    short = [] if is_error else [c for c in report["checks"] if c["verdict"] == "FAIL"]
    return "; ".join(f"{c['name']} ({c['used']} of {c['allowed']} used)" for c in short)
