"""Skills that build the same thing several times over, once per environment."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from opswright_aws_devops.networking.layout import divide
from opswright_aws_devops.skills.building import Name, Zones
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

_WORD = r"[a-z][a-z0-9]*"
_LIST = rf"\b({_WORD}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){_WORD})+)"
_PRODUCTION = {"prod", "production", "live"}


def _as_list(value: Any) -> Any:
    """`dev, staging and prod` → `["dev", "staging", "prod"]`; else unchanged."""
    return (
        re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", value.lower())
        if isinstance(value, str)
        else value
    )


class EnvironmentsWanted(InRegion):
    """Which networks to make."""

    name: Name
    environments: Annotated[
        list[Annotated[str, Field(pattern=rf"^{_WORD}$", max_length=20)]],
        BeforeValidator(_as_list),
        Field(description="Like dev, staging and prod", min_length=1, max_length=16),
        FromText(rf"(?:for|environments:?)\s+{_LIST}"),
    ] = ["dev", "staging", "prod"]  # noqa: RUF012 (never changed)
    block: Annotated[
        str,
        Field(description="IPv4 block that all of them share"),
        FromText(r"\b(\d+\.\d+\.\d+\.\d+/\d+)"),
    ] = "10.0.0.0/12"
    az_count: Zones = 2


@skill(
    "build networks named shop for dev, staging and prod from 10.0.0.0/12",
    "build a network for each of three environments",
    "separate networks for the environments development, test and production",
    risk="write",
)
async def build_environments(worker: Worker, inputs: EnvironmentsWanted) -> Outcome:
    """Build one network per environment, in ranges of one block that do not overlap.

    Production gets a NAT gateway per zone, the others one.
    """
    names = list(dict.fromkeys(inputs.environments))
    said, made = [], {}
    for environment, cidr in zip(names, divide(inputs.block, len(names)), strict=True):
        nat = "per_az" if environment in _PRODUCTION else "single"
        change = await worker.call(
            "create_network",
            name=f"{inputs.name}-{environment}",
            cidr=cidr,
            az_count=inputs.az_count,
            nat=nat,
            **inputs.where,
        )
        network = made[environment] = change["outputs"]
        gateways = len(network["nat_gateway_ids"])
        said.append(
            f"{network['name']} {network['vpc_id']} {cidr}, {gateways} NAT "
            f"gateway{'s' if gateways > 1 else ''}"
        )
    return Outcome(
        summary=f"{len(names)} networks that do not overlap: {'; '.join(said)}.",
        outputs={"networks": made},
        memories=[Memory(kind="fact", text=line) for line in said],
    )
