"""Skills that run code: a container service, a function, a private API."""

from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.skills.building import Cidr, Name, Zones
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker
from opswright_core.errors import OpswrightError


class ServiceWanted(InRegion):
    """Which container service to run; its network is made, unless the ids of one are given."""

    name: Name
    image: Annotated[
        str,
        Field(description="Image with its tag or digest"),
        FromText(r"\bimage\s+[\"'`]?([\w./:@-]*[\w])"),
    ]
    port: Annotated[
        int, Field(description="The container listens on"), FromText(r"\bport\s+(\d+)")
    ] = 8080
    health_check_path: Annotated[
        str,
        Field(description="Answers 200 when healthy"),
        FromText(r"health[- ]check(?:s)?(?:\s+(?:path|at|on|is))*\s+(/\S*)"),
    ] = "/healthz"
    cidr: Cidr = "10.0.0.0/16"
    az_count: Zones = 2
    listener_arn: str | None = None
    subnet_ids: list[str] | None = None
    security_group_ids: list[str] | None = None


class FunctionWanted(InRegion):
    """Which function to make."""

    name: Name
    code: Annotated[
        str,
        Field(description="s3://bucket/key, a folder or ZIP file here, or an image in ECR"),
        FromText(r"\bfrom\s+(?:the\s+)?(?:folder\s+|image\s+|zip\s+)?[\"'`]?([^\s\"'`]+)"),
    ]
    runtime: Annotated[
        str,
        Field(description="Runtime of Lambda"),
        FromText(r"\b((?:python|nodejs|java|ruby|dotnet)\d[\w.]*)"),
    ] = "python3.13"
    handler: Annotated[
        str, Field(description="Where it begins"), FromText(r"\bhandler\s+([\w./:]*\w)")
    ] = "app.handler"
    schedule: Annotated[
        str | None,
        Field(description="When it is started"),
        FromText(r"\b((?:rate|cron)\([^)]*\))"),
    ] = None


class PrivateApiWanted(InRegion):
    """Which private API to build; without a VPC, one is made."""

    name: Name
    function_name: Annotated[
        str,
        Field(description="Lambda function behind it"),
        FromText(r"\bfunction\s+(?:named\s+|called\s+)?[\"'`]?([\w-]+)"),
    ]
    vpc_id: Annotated[
        str | None, Field(description="VPC that reaches it"), FromText(r"\b(vpc-[0-9a-f]+)")
    ] = None


@skill(
    "deploy a container service named shop-api from image nginx:1.29",
    "run the container image shop:1.0 on Fargate as service shop",
    "create an ECS service called blog from image ghost:5",
    risk="write",
)
async def deploy_container_service(worker: Worker, inputs: ServiceWanted) -> Outcome:
    """Deploy a container image as a service on ECS Fargate, behind a load balancer."""

    async def make(tool: str, **arguments: Any) -> dict[str, Any]:
        change = await worker.call(tool, name=inputs.name, **arguments, **inputs.where)
        made: dict[str, Any] = change["outputs"]
        return made

    outputs: dict[str, Any] = {}
    given = (inputs.listener_arn, inputs.subnet_ids, inputs.security_group_ids)
    if all(given):
        listener_arn, subnet_ids, group_ids = given
    else:
        network = await make("create_network", cidr=inputs.cidr, az_count=inputs.az_count)
        vpc_id, subnet_ids = network["vpc_id"], network["private_subnet_ids"]
        groups = await make("create_security_groups", vpc_id=vpc_id, app_port=inputs.port)
        group_ids = [groups["app_sg_id"]]
        balancer = await make(
            "create_load_balancer",
            vpc_id=vpc_id,
            subnet_ids=network["public_subnet_ids"],
            security_group_ids=[groups["load_balancer_sg_id"]],
            target_type="none",  # the service brings a target group of its own
        )
        listener_arn = balancer["listener_arn"]
        outputs |= {"network": network, "security_groups": groups, "load_balancer": balancer}
    service = await make(
        "create_container_service",
        image=inputs.image,
        subnet_ids=subnet_ids,
        security_group_ids=group_ids,
        listener_arn=listener_arn,
        port=inputs.port,
        health_check_path=inputs.health_check_path,
    )
    said = f"Service {service['service_name']} runs {inputs.image} at {service['url']}"
    return Outcome(
        summary=f"{said}.",
        outputs={**outputs, "service": service},
        memories=[Memory(kind="fact", text=said)],
    )


@skill(
    "create a Lambda function named resize from the folder ./resize",
    "make a function called report from s3://shop-code/report.zip",
    "create a serverless function named nightly from ./nightly run by cron(0 3 * * ? *)",
    risk="write",
)
async def create_lambda_function(worker: Worker, inputs: FunctionWanted) -> Outcome:
    """Create a Lambda function with least privilege; events that fail are kept in a queue."""
    where = inputs.where
    arguments: dict[str, Any] = {"name": inputs.name, "code": inputs.code}
    if ".dkr.ecr." not in inputs.code:
        arguments |= {"runtime": inputs.runtime, "handler": inputs.handler}
    if inputs.schedule:
        arguments["schedule"] = inputs.schedule
    # What is wrong with the code shows before anything is made.
    await worker.call("create_function", **arguments, **where, dry_run=True)
    outputs: dict[str, Any] = {}
    if "create_queue" in {tool.name for tool in await worker.client.list_tools()}:
        asked = {"name": f"{inputs.name}-failed"[:40], "max_receives": 0, "retention_days": 14}
        outputs["failed_events"] = (await worker.call("create_queue", **asked, **where))["outputs"]
        arguments["dead_letter_arn"] = outputs["failed_events"]["queue_arn"]
    made = (await worker.call("create_function", **arguments, **where))["outputs"]
    said = f"Function {made['function_name']}"
    kept = "; events that fail go to its queue" if "failed_events" in outputs else ""
    return Outcome(
        summary=f"{said} is there, with its log in {made['log_group']}{kept}.",
        outputs={**outputs, "function": made},
        memories=[Memory(kind="fact", text=f"{said}: {made['function_arn']}")],
    )


@skill(
    "build a private API named orders before the function orders",
    "make a REST API that only vpc-0a1b2c reaches, for the function hello, called hello",
    "create an internal API called stock for the function stock",
    risk="write",
)
async def build_private_api(worker: Worker, inputs: PrivateApiWanted) -> Outcome:
    """Build a private REST API before a function, which answers inside one VPC alone."""
    name, where = inputs.name, inputs.where
    await _find_function(worker, inputs)
    vpc_id = inputs.vpc_id
    if vpc_id is None:
        network = await worker.call("create_network", name=name, nat="none", **where)
        vpc_id = network["outputs"]["vpc_id"]
    asked = {"name": name, "vpc_id": vpc_id, "services": ["execute-api"]}
    reached = (await worker.call("create_vpc_endpoints", **asked, **where))["outputs"]
    endpoint_ids = [found["endpoint_id"] for found in [*reached["made"], *reached["kept"]]]
    api = await worker.call(
        "create_private_api",
        name=name,
        function_name=inputs.function_name,
        vpc_endpoint_ids=endpoint_ids,
        **where,
    )
    made = api["outputs"]
    said = f"Private API {name} answers at {made['url']} inside {vpc_id}"
    return Outcome(
        summary=f"{said}, to requests that are signed.",
        outputs={"endpoints": reached, "api": made, "vpc_id": vpc_id},
        memories=[Memory(kind="fact", text=said)],
    )


async def _find_function(worker: Worker, inputs: PrivateApiWanted) -> None:
    """Nothing is built before a function that is not there."""
    cursor: str | None = None
    while True:
        asked = {"types": ["lambda:function"], "cursor": cursor, **inputs.where}
        page = await worker.call("list_resources", **asked)
        if page["unread"] or any(f["name"] == inputs.function_name for f in page["items"]):
            return  # what could not be read is left to create_private_api to say
        cursor = page.get("cursor")
        if cursor is None:
            raise OpswrightError(
                f"There is no function {inputs.function_name} in this account and region, so "
                f'nothing was built. Create it first ("create a Lambda function named '
                f'{inputs.function_name} from the folder …"), then ask again.'
            )
