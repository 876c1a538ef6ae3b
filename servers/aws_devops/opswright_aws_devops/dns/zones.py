"""Hosted zones: which one a name belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass

from opswright_core.aws import Aws


@dataclass(frozen=True)
class Zone:
    """A hosted zone; `name` without the dot at its end."""

    id: str
    name: str
    private: bool
    comment: str = ""


def normal(name: str) -> str:
    """A DNS name as it is compared: lower case, no dot at the end, `*` not as an octal escape."""
    return name.lower().rstrip(".").replace("\\052", "*")


def load_zones(a: Aws) -> list[Zone]:
    """Every hosted zone of the account."""
    return [
        Zone(
            id=found["Id"].rpartition("/")[2],
            name=normal(found["Name"]),
            private=found["Config"]["PrivateZone"],
            comment=found["Config"].get("Comment", ""),
        )
        for found in a.pages("route53", "list_hosted_zones", "HostedZones")
    ]


def zones_of(zones: Iterable[Zone], name: str, *, private: bool) -> list[Zone]:
    """The zones of a name: those with the longest suffix of it; several may have the same name."""
    wanted = normal(name)
    fitting = [
        zone
        for zone in zones
        if zone.private == private and (wanted == zone.name or wanted.endswith(f".{zone.name}"))
    ]
    longest = max((len(zone.name) for zone in fitting), default=0)
    return [zone for zone in fitting if len(zone.name) == longest]
