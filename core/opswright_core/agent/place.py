"""The region, or the regions, that a task names: inputs that skills of several servers share."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from opswright_core.agent.skills import FromText
from opswright_core.aws import ALL_REGIONS

_REGION = r"[a-z]{2}(?:-gov|-iso[a-z]?)?-(?:central|(?:north|south)(?:east|west)?|east|west)-\d\b"
_EVERYWHERE = (
    r"everywhere\b"
    r"|(?:all|every|each|any)(?: of)?(?: the| our| my)?(?: enabled)?(?: aws)? regions?\b"
    r"|(?:across|(?:in )?all of) (?:the|our|my|this)(?: whole| entire)?(?: aws)? account\b"
    r"|(?:whole|entire)(?: aws)? account\b|account-wide\b"
)


def _as_regions(value: Any) -> Any:
    """`eu-west-1 and us-east-1` → `eu-west-1,us-east-1`; `everywhere` → `all`; else unchanged."""
    if not isinstance(value, str):
        return value
    if named := re.findall(_REGION, value, re.IGNORECASE):
        return ",".join(dict.fromkeys(region.lower() for region in named))
    return ALL_REGIONS if re.fullmatch(_EVERYWHERE, value, re.IGNORECASE) else value


class InRegion(BaseModel):
    """Inputs of a skill that looks at one region."""

    region: Annotated[
        str | None, Field(description="AWS region, like eu-west-1"), FromText(rf"\b({_REGION})")
    ] = None

    @property
    def where(self) -> dict[str, Any]:
        """The `target` argument of a tool, or nothing for the server's own region."""
        return {"target": {"region": self.region}} if self.region else {}


class InRegions(InRegion):
    """Inputs of a skill that looks at one region, several, or all (`everywhere`)."""

    region: Annotated[
        str | None,
        BeforeValidator(_as_regions),
        Field(description="AWS region like eu-west-1, several (`a,b`), or `all`"),
        FromText(
            rf"\b({_REGION}(?:(?:,|,? and| or)\s*{_REGION})*|(?:{_EVERYWHERE})(?!.*{_REGION}))"
        ),
    ] = None
