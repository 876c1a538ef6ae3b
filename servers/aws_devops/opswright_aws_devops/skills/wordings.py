"""How people name tags and VPCs, as inputs that several skills share."""

from typing import Annotated

from pydantic import Field

from opswright_core.agent.place import InRegion
from opswright_core.agent.skills import FromText
from opswright_core.agent.worker import Worker
from opswright_core.errors import BadInputError

TagGiven = Annotated[
    str | None,
    Field(description="Tag, like team=web"),
    FromText(r"\btag(?:ged)?(?:\s+(?:with|as))?\s+([\w:./-]+=[\w:./-]+)"),
]

_NO_NAME = r"(?!(?:it|this|that|the|my|our|all|everything|vpc|network|application|app)\b)"


class InVpc(InRegion):
    """Inputs of a skill about one VPC, by id or by name."""

    vpc_id: Annotated[
        str,
        Field(description="Id or name of the VPC"),
        FromText(r"\b(vpc-[0-9a-f]+)\b"),
        FromText(
            r"\b(?:vpc|network|application|app|environment)\s+(?:named\s+|called\s+)?[\"'`]?"
            rf"{_NO_NAME}(?!(?:as|is|in|of|to|with|highly|named|called)\b)([A-Za-z0-9][\w.-]*)"
        ),
        FromText(
            rf"\b(?:the|our|of)\s+{_NO_NAME}([A-Za-z0-9][\w.-]*)\s+"
            r"(?:vpc|network|application|app|environment)\b"
        ),
        FromText(rf"\bis\s+(?:the\s+)?{_NO_NAME}([A-Za-z0-9][\w.-]*)\s+(?:highly|resilient)\b"),
        FromText(rf"\bexport\s+(?:the\s+)?{_NO_NAME}([A-Za-z0-9][\w.-]*)\s+(?:as|to|in)\b"),
    ]

    async def found(self, worker: Worker) -> str:
        """The VPC's id. Raises BadInputError when no VPC, or more than one, has the name."""
        if self.vpc_id.startswith("vpc-"):
            return self.vpc_id
        page = await worker.call("list_resources", types=["ec2:vpc"], **self.where)
        named = [item["id"] for item in page["items"] if item["name"] == self.vpc_id]
        if len(named) == 1:
            return str(named[0])
        others = ", ".join(f"{item['name']} ({item['id']})" for item in page["items"][:10])
        if named:
            raise BadInputError(f"{len(named)} VPCs are named {self.vpc_id}: {others}. Give an id.")
        raise BadInputError(f"No VPC is named {self.vpc_id}; there are: {others or 'none'}.")
