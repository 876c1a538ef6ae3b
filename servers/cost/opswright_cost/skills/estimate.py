"""Estimating costs: of what is planned, and of what runs."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from opswright_core.agent.place import InRegions
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker
from opswright_cost.components import Component

_WORDS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT = r"(?:\b(?P<count>\d+|a|an|one|two|three|four|five|six)\s*(?:x\s+)?)?"
_SIZE = r"(?:nano|micro|small|medium|\d*x?large)"
_INSTANCE = rf"{_COUNT}(?P<multi>multi-az\s+)?\b(?P<type>(?:db\.)?[a-z]\d[a-z0-9]*\.{_SIZE})\b"
_OTHERS = {
    "nat_gateway": rf"{_COUNT}\bNAT gateways?\b",
    "load_balancer": rf"{_COUNT}\b(?:application )?(?:load balancers?|ALBs?)\b",
    "elastic_ip": rf"{_COUNT}\belastic IPs?\b",
    "alarm": rf"{_COUNT}\balarms?\b",
    "secret": rf"{_COUNT}\bsecrets?\b",
}
_ANY = (
    rf"(?si)(.*(?:{_INSTANCE}|NAT gateway|load balancer|\bALBs?\b|elastic IP).*)".replace(
        "?P<count>", "?:"
    )
    .replace("?P<multi>", "?:")
    .replace("?P<type>", "?:")
)


def components_in(text: Any) -> Any:
    """Components named in words, like `2 t3.small, a Multi-AZ db.t4g.medium and a NAT gateway`.

    Anything but a string is given back as it is, for pydantic to check.
    """
    if not isinstance(text, str):
        return text
    found = []
    engine = "mysql" if re.search("mysql", text, re.IGNORECASE) else None
    for match in re.finditer(_INSTANCE, text, re.IGNORECASE):
        kind = match["type"].lower()
        database = kind.startswith("db.")
        found.append(
            Component(
                kind="rds" if database else "ec2",
                type=kind,
                count=_count(match["count"]),
                multi_az=database and bool(match["multi"]),
                engine=engine if database else None,
            )
        )
    for name, pattern in _OTHERS.items():
        if named := re.search(pattern, text, re.IGNORECASE):
            found.append(Component.model_validate({"kind": name, "count": _count(named["count"])}))
    return found


def _count(word: str | None) -> int:
    return 1 if word is None else _WORDS.get(word.lower()) or int(word)


class PlannedCost(BaseModel):
    """What is planned, and where."""

    components: Annotated[
        list[Component],
        BeforeValidator(components_in),
        Field(
            description="Components to price, like `2 t3.small and a db.t4g.medium`", min_length=1
        ),
        FromText(_ANY),
    ]
    region: Annotated[str | None, FromText(r"\b([a-z]{2}-[a-z]+-\d)\b")] = None


class RunningCost(InRegions):
    """Which running resources."""

    vpc_id: Annotated[str | None, FromText(r"\b(vpc-[0-9a-f]+)\b")] = None
    tag: Annotated[str | None, FromText(r"\btag(?:ged)?\s+([^\s=]+=[^\s,;]+)")] = None


@skill(
    "estimate the cost of 2 t3.small and a db.t4g.medium",
    "estimate the cost of 3 m5.large instances, a NAT gateway, an ALB and a Multi-AZ MySQL "
    "db.t3.micro in eu-west-1, us-east-1, us-west-2 or eu-central-1",
    "how much would a load balancer, two instances and a database cost a month",
    "what will this system cost per month before we build it",
)
async def estimate_planned_cost(worker: Worker, inputs: PlannedCost) -> Outcome:
    """Estimate the monthly cost of a planned system from its components."""
    components = [c.model_dump(exclude_defaults=True) for c in inputs.components]
    arguments = {"region": inputs.region} if inputs.region else {}
    answer = await worker.call("estimate_monthly_cost", components=components, **arguments)
    return Outcome(summary=answer["summary"], outputs=answer)


@skill(
    "what does what is running cost a month",
    "what does everything that runs in all regions cost",
    "estimate the monthly cost of vpc-0123456789abcdef0",
    "price the existing resources tagged app=shop",
)
async def estimate_running_cost(worker: Worker, inputs: RunningCost) -> Outcome:
    """Estimate the monthly price of the existing, running resources of a VPC, tag or region."""
    scope = inputs.model_dump(exclude_none=True, exclude={"region"})
    answer = await worker.call("estimate_existing", **scope, **inputs.where)
    return Outcome(
        summary=answer["summary"],
        status="partial" if answer["unread"] else "completed",
        outputs=answer,
        memories=[Memory(kind="fact", text=f"List price of what runs: {answer['summary']}")],
    )
