"""Skills that give what runs a name on the internet."""

from typing import Annotated

from pydantic import Field

from opswright_aws_devops.skills.building import gaps_of
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

_DOMAIN = r"((?:\*\.|[a-z0-9_-]+\.)+[a-z][a-z0-9-]+)\.?"
Domain = Annotated[
    str, Field(description="DNS name, like www.example.com"), FromText(rf"\b{_DOMAIN}\b")
]


class NameWanted(InRegion):
    """Which name is to lead to which load balancer."""

    domain_name: Domain
    load_balancer: Annotated[
        str,
        Field(description="Name, ARN or DNS name of the load balancer"),
        FromText(r"load[ -]balancer\s+(?:named\s+|called\s+)?[\"'`]?([A-Za-z0-9][\w.:/-]*\w)"),
    ]


@skill(
    "point www.example.com at the load balancer shop",
    "make the name shop.example.com lead to the load balancer shop",
    "set a DNS record for the load balancer",
    risk="write",
)
async def point_name_at_load_balancer(worker: Worker, inputs: NameWanted) -> Outcome:
    """Point a DNS name at a load balancer with an alias record."""
    change = await worker.call(
        "set_dns_record",
        name=inputs.domain_name,
        alias_to=inputs.load_balancer,
        **inputs.where,
    )
    made = change["outputs"]
    said = f"{made['name']} is an {made['answers']} (before: {made['before']})"
    return Outcome(
        summary=f"{said}, in zone {made['zone_name']}." + gaps_of([change]),
        outputs=made,
        memories=[Memory(kind="fact", text=said)],
    )
