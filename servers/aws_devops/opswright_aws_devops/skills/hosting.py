"""Skills that give what runs a name on the internet."""

from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.skills.building import Name
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

_DOMAIN = r"((?:\*\.|[a-z0-9_-]+\.)+[a-z][a-z0-9-]+)\.?"
Domain = Annotated[
    str, Field(description="DNS name, like www.example.com"), FromText(rf"\b{_DOMAIN}\b")
]


class WebsiteWanted(InRegion):
    """Which website to make."""

    name: Name
    domain_name: Annotated[
        str | None,
        Field(description="DNS name, like www.example.com; none: a cloudfront.net name"),
        FromText(rf"\b(?:on|at|under|for|domain)\s+(?:the\s+)?(?:domain\s+)?{_DOMAIN}(?![\w/])"),
    ] = None
    folder: Annotated[
        str | None,
        Field(description="Local folder with index.html"),
        FromText(r"\b(?:from|folder|directory)\s+[\"'`]?((?:~|\.{0,2})/[^\s\"'`]+)"),
    ] = None


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
        summary=f"{said}, in zone {made['zone_name']}.",
        outputs=made,
        memories=[Memory(kind="fact", text=said)],
    )


@skill(
    "host a static website named docs",
    "host a static website named docs on domain docs.example.com",
    "publish a static site called handbook from /srv/handbook/public",
    risk="write",
)
async def host_static_website(worker: Worker, inputs: WebsiteWanted) -> Outcome:
    """Host a static website: private bucket, CloudFront, HTTPS, certificate and domain name."""
    name, domain, where = inputs.name, inputs.domain_name, inputs.where

    async def make(tool: str, **arguments: Any) -> dict[str, Any]:
        change = await worker.call(tool, **arguments, **where)
        made: dict[str, Any] = change["outputs"]
        return made

    own: dict[str, Any] = {}
    if domain:
        asked = {"name": name, "domain_names": [domain], "for_cloudfront": True}
        certificate = await make("create_certificate", **asked)
        if certificate["status"] != "ISSUED":
            return _waiting(domain, certificate)
        own = {"domain_names": [domain], "certificate_arn": certificate["certificate_arn"]}
    site = await make("create_static_website", name=name, **own)
    identifier = site["distribution_id"]
    to_do = ""
    if domain and certificate["records_to_create"]:
        # Its zone is not ours, or the certificate's records would have been written.
        to_do = f" Point {domain} at {site['distribution_domain']} where its zone is (CNAME)."
    elif domain:
        for kind in ("A", "AAAA"):
            await make("set_dns_record", name=domain, type=kind, alias_to=identifier)
    if inputs.folder:
        files = {"folder": inputs.folder, "bucket": site["bucket"]}
        deployed = await make("deploy_website", **files, distribution_id=identifier)
        content = f"with {deployed['uploaded'] + deployed['unchanged']} files"
    else:
        content = "empty: deploy_website brings a folder's files into it"
    said = f"Website {name} is at {site['url']}"
    return Outcome(
        summary=f"{said}, {content}.{to_do}",
        status="partial" if to_do else "completed",
        outputs=site,
        memories=[Memory(kind="fact", text=f"{said} (bucket {site['bucket']}, {identifier})")],
    )


def _waiting(domain: str, certificate: dict[str, Any]) -> Outcome:
    wanted = "; ".join(
        f"{r['name']} {r['type']} {r['value']}" for r in certificate["records_to_create"]
    )
    return Outcome(
        summary=f"The certificate of {domain} is {certificate['status']}, and no website was made "
        f"yet. Create where the zone of {domain} is: {wanted}",
        status="partial",
        outputs=certificate,
        next="When it is issued (some minutes after the records are there), ask again.",
    )
