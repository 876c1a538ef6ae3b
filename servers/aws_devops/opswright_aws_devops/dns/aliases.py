"""What an alias record can point at: a load balancer, a CloudFront distribution, an S3 website."""

import re
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.website.distribution import load_distributions
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError, NotFoundError

CLOUDFRONT_ZONES = {"aws": "Z2FDTNDATAQYW2", "aws-cn": "Z3RFFRIM2A3IF5"}
"""The zone of every distribution, by partition. Source: AliasTarget, Route 53 API reference."""

S3_WEBSITE_ZONES = {
    "af-south-1": "Z83WF9RJE8B12",
    "ap-east-1": "ZNB98KWMFR0R6",
    "ap-northeast-1": "Z2M4EHUR26P7ZW",
    "ap-northeast-2": "Z3W03O7B5YMIYP",
    "ap-northeast-3": "Z2YQB5RD63NC85",
    "ap-south-1": "Z11RGJOFQNVJUP",
    "ap-south-2": "Z02976202B4EZMXIPMXF7",
    "ap-southeast-1": "Z3O0J2DXBE1FTB",
    "ap-southeast-2": "Z1WCIGYICN2BYD",
    "ap-southeast-3": "Z01846753K324LI26A3VV",
    "ap-southeast-4": "Z0312387243XT5FE14WFO",
    "ap-southeast-5": "Z08660063OXLMA7F1FJHU",
    "ca-central-1": "Z1QDHH18159H29",
    "ca-west-1": "Z03565811Z33SLEZTHOUL",
    "cn-north-1": "Z5CN8UMXT92WN",
    "cn-northwest-1": "Z282HJ1KT0DH03",
    "eu-central-1": "Z21DNDUVLTQW6Q",
    "eu-central-2": "Z030506016YDQGETNASS",
    "eu-north-1": "Z3BAZG2TWCNX0D",
    "eu-south-1": "Z30OZKI7KPW7MI",
    "eu-south-2": "Z0081959F7139GRJC19J",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-west-2": "Z3GKZC51ZF0DB4",
    "eu-west-3": "Z3R1K369G5AVDG",
    "il-central-1": "Z09640613K4A3MN55U7GU",
    "me-central-1": "Z06143092I8HRXZRUZROF",
    "me-south-1": "Z1MPMWCPA7YB62",
    "sa-east-1": "Z7KQH4QJS55SO",
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-gov-east-1": "Z2NIFVYYW2VKV1",
    "us-gov-west-1": "Z31GFT0UA1I2HV",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
}
"""The zone of S3's website endpoints, by region; no API tells it.

Source: "Amazon S3 website endpoints", https://docs.aws.amazon.com/general/latest/gr/s3.html.
"""

_BALANCER = re.compile(
    r"[a-z0-9-]+\.(?:(?P<alb>[a-z0-9-]+)\.elb|elb\.(?P<nlb>[a-z0-9-]+))\.amazonaws\.com(\.cn)?"
)
_WEBSITE = re.compile(
    r"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3-website[.-](?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
)


@dataclass(frozen=True)
class Alias:
    """Where an alias record points, and what has to be said about it."""

    zone_id: str
    dns_name: str
    evaluate_health: bool
    warning: str = ""

    def target(self) -> dict[str, Any]:
        """The same as Route 53's `AliasTarget`."""
        return {
            "HostedZoneId": self.zone_id,
            "DNSName": self.dns_name,
            "EvaluateTargetHealth": self.evaluate_health,
        }


def find_alias(a: Aws, what: str, name: str) -> Alias:
    """Find what a record of `name` is to point at.

    `what` is a load balancer (name, ARN or DNS name), a distribution (id or domain name) or an S3
    website endpoint. Raises NotFoundError or BadInputError.
    """
    wanted = what.strip().rstrip(".")
    host = wanted.lower().removeprefix("dualstack.")
    if website := _WEBSITE.fullmatch(host):
        return _website(website["bucket"], website["region"], host, name)
    if host.endswith(".cloudfront.net") or re.fullmatch(r"(?=.*\d)[0-9A-Z]{12,20}", wanted):
        return _distribution(a, wanted, name)
    if balancer := _BALANCER.fullmatch(host):
        return _by_dns_name(a, balancer["alb"] or balancer["nlb"], host)
    if wanted.startswith("arn:") and ":loadbalancer/" in wanted:
        return _balancer(a, wanted.split(":")[3], LoadBalancerArns=[wanted])
    if re.fullmatch(r"[A-Za-z0-9-]{1,32}", wanted):
        return _balancer(a, a.region, Names=[wanted])
    raise BadInputError(
        f"alias_to {what[:100]!r} is not what an alias points at: give a load balancer (name, ARN "
        "or DNS name), a CloudFront distribution (id or domain name) or an S3 website endpoint."
    )


def _balancer(a: Aws, region: str, **which: Any) -> Alias:
    elb = a.client("elbv2", region)
    said = f"Load balancer {next(iter(which.values()))[0]}"
    found = must_exist(said, lambda: elb.describe_load_balancers(**which)["LoadBalancers"])
    return _of_balancer(found[0])


def _by_dns_name(a: Aws, region: str, host: str) -> Alias:
    found = a.at(region).client("elbv2").get_paginator("describe_load_balancers").paginate()
    for page in found:
        for balancer in page["LoadBalancers"]:
            if balancer["DNSName"].lower() == host:
                return _of_balancer(balancer)
    raise NotFoundError(f"No load balancer of this account in {region} has the DNS name {host}.")


def _of_balancer(balancer: dict[str, Any]) -> Alias:
    internal = "It is internal: names resolve to private addresses."
    return Alias(
        zone_id=balancer["CanonicalHostedZoneId"],
        dns_name=balancer["DNSName"],
        evaluate_health=True,
        warning=internal if balancer.get("Scheme") == "internal" else "",
    )


def _distribution(a: Aws, wanted: str, name: str) -> Alias:
    for found in load_distributions(a):
        if wanted in {found["Id"], found["DomainName"]}:
            return _of_distribution(a, found, name)
    raise NotFoundError(f"This account has no CloudFront distribution {wanted}.")


def _of_distribution(a: Aws, found: dict[str, Any], name: str) -> Alias:
    names = found.get("Aliases", {}).get("Items", [])
    known = name in names or f"*.{name.partition('.')[2]}" in names
    return Alias(
        zone_id=CLOUDFRONT_ZONES.get(a.partition, CLOUDFRONT_ZONES["aws"]),
        dns_name=found["DomainName"],
        evaluate_health=False,  # Route 53 takes no other value for CloudFront
        warning=""
        if known
        else f"The distribution does not have {name} among its alternate domain names: CloudFront "
        "refuses requests for it until it has.",
    )


def _website(bucket: str | None, region: str, host: str, name: str) -> Alias:
    zone = S3_WEBSITE_ZONES.get(region)
    if zone is None:
        raise BadInputError(f"The hosted zone of S3 websites in {region!r} is not known here.")
    if bucket and bucket != name:
        raise BadInputError(
            f"S3 serves a website under a name only from the bucket of that name: {name}, "
            f"not {bucket}."
        )
    return Alias(
        zone_id=zone,
        dns_name=host.removeprefix(f"{bucket}.") if bucket else host,
        evaluate_health=False,
        warning="An S3 website endpoint speaks plain HTTP, and its bucket has to be public; "
        "create_static_website serves a private one over HTTPS.",
    )
