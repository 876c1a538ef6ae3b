"""A website's CloudFront distribution: its configuration, how it is found, judged and removed."""

import time
from collections.abc import Sequence
from typing import Any

from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import OpswrightError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

REMOVE = "cloudfront"
"""The kind of undo step that removes a distribution or an origin access control."""

CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
"""Source: "Use managed cache policies", Amazon CloudFront developer guide."""

SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"
"""HSTS, nosniff, frame options, referrer policy.

Source: "Use managed response headers policies", Amazon CloudFront developer guide.
"""

TLS = "TLSv1.2_2021"
ORIGIN = "bucket"
DEPLOYED_SECONDS = 2400.0
"""A distribution is deployed everywhere within minutes as a rule, rarely in more than half an hour.
"""

_ROOT = "index.html"


def configuration(
    *,
    reference: str,
    comment: str,
    bucket_domain: str,
    access_control_id: str,
    domain_names: Sequence[str],
    certificate_arn: str | None,
    not_found_page: str,
    single_page: bool,
) -> dict[str, Any]:
    """What CloudFront's CreateDistribution takes as DistributionConfig."""
    page, status = (_ROOT, "200") if single_page else (not_found_page, "404")
    # Without the permission to list the bucket, S3 answers 403 for what is not there.
    errors = [
        {
            "ErrorCode": code,
            "ResponsePagePath": f"/{page}",
            "ResponseCode": status,
            "ErrorCachingMinTTL": 10,
        }
        for code in (403, 404)
    ]
    origin = {
        "Id": ORIGIN,
        "DomainName": bucket_domain,
        "OriginAccessControlId": access_control_id,
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    behaviour = {
        "TargetOriginId": ORIGIN,
        "ViewerProtocolPolicy": "redirect-to-https",
        "Compress": True,
        "CachePolicyId": CACHING_OPTIMIZED,
        "ResponseHeadersPolicyId": SECURITY_HEADERS,
        "AllowedMethods": {
            **_items(["GET", "HEAD"]),
            "CachedMethods": _items(["GET", "HEAD"]),
        },
    }
    certificate: dict[str, Any] = {"CloudFrontDefaultCertificate": True}
    if certificate_arn:
        certificate = {
            "ACMCertificateArn": certificate_arn,
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": TLS,
        }
    return {
        "CallerReference": reference,
        "Comment": comment,
        "Enabled": True,
        "Aliases": _items(list(domain_names)),
        "DefaultRootObject": _ROOT,
        "Origins": _items([origin]),
        "DefaultCacheBehavior": behaviour,
        "CustomErrorResponses": _items(errors),
        "ViewerCertificate": certificate,
        "HttpVersion": "http2and3",
        "IsIPV6Enabled": True,
    }


def _items(items: list[Any]) -> dict[str, Any]:
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def load_distributions(a: Aws) -> list[dict[str, Any]]:
    """CloudFront's summary of every distribution."""
    pages = a.client("cloudfront").get_paginator("list_distributions").paginate()
    return [found for page in pages for found in page["DistributionList"].get("Items", [])]


def load_distribution(a: Aws, distribution_id: str) -> dict[str, Any] | None:
    """A distribution with its `ETag`, or None when there is none."""
    cloudfront = a.client("cloudfront")
    answer = if_exists(lambda: cloudfront.get_distribution(Id=distribution_id))
    return {**answer["Distribution"], "ETag": answer["ETag"]} if answer else None


def find_access_control(a: Aws, name: str) -> str | None:
    """The id of the origin access control of a name; names are unique in an account."""
    cloudfront = a.client("cloudfront")
    more: dict[str, str] = {}
    while True:
        found = cloudfront.list_origin_access_controls(**more)["OriginAccessControlList"]
        for control in found.get("Items", []):
            if control["Name"] == name:
                control_id: str = control["Id"]
                return control_id
        if not found.get("NextMarker"):
            return None
        more = {"Marker": found["NextMarker"]}


def bucket_statement(bucket_arn: str, distribution_arn: str) -> dict[str, Any]:
    """The statement of a bucket's policy that lets one distribution, and nothing else, read.

    Source: "Restrict access to an Amazon S3 origin", Amazon CloudFront developer guide.
    """
    return {
        "Sid": "CloudFrontReads",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
    }


def judge_distribution(
    distribution: dict[str, Any] | Unread | None,
    *,
    domain_names: Sequence[str],
    access_control_id: str | None,
) -> list[Check]:
    """Whether it serves, over HTTPS, with its headers; `access_control_id` None: is not looked at.

    Emulators do not keep what a distribution's origin is reached with.
    """
    if distribution is None or isinstance(distribution, Unread):
        return [check("Distribution exists", distribution or False, "CloudFront knows no such one")]
    config = distribution["DistributionConfig"]
    behaviour, used = config["DefaultCacheBehavior"], config["ViewerCertificate"]
    origin = config["Origins"]["Items"][0]
    names = config["Aliases"].get("Items", [])
    facts = [
        ("It is deployed", distribution["Status"] == "Deployed", distribution["Status"]),
        ("It is enabled", config["Enabled"], ""),
        (
            "HTTP is redirected to HTTPS",
            behaviour["ViewerProtocolPolicy"] == "redirect-to-https",
            behaviour["ViewerProtocolPolicy"],
        ),
        (
            "Answers have security headers",
            behaviour.get("ResponseHeadersPolicyId") == SECURITY_HEADERS,
            behaviour.get("ResponseHeadersPolicyId") or "no policy",
        ),
        ("It answers for its names", set(domain_names) <= set(names), ", ".join(names)),
    ]
    if domain_names:
        least = used.get("MinimumProtocolVersion", "")
        facts.append(("It takes TLS 1.2 and newer alone", least == TLS, least))
    if access_control_id:
        has = origin.get("OriginAccessControlId", "")
        facts.append(("It alone reads the bucket", has == access_control_id, has))
    return [check(name, ok, said, distribution["Id"]) for name, ok, said in facts]


class CloudFrontUndo:
    """Removes a distribution (disabled first, and waited for) or an origin access control."""

    def replay(self, step: UndoStep) -> None:
        """Remove it; what is gone is no error. Raises OpswrightError when disabling takes long."""
        a, which = self._open(step), step.args["id"]
        if step.args["what"] == "distribution":
            _remove_distribution(a, which)
            return
        cloudfront = a.client("cloudfront")
        if found := if_exists(lambda: cloudfront.get_origin_access_control(Id=which)):
            cloudfront.delete_origin_access_control(Id=which, IfMatch=found["ETag"])

    def verify(self, step: UndoStep) -> Check:
        """PASS when CloudFront knows it no more."""
        a, which = self._open(step), step.args["id"]
        cloudfront = a.client("cloudfront")
        read = (
            cloudfront.get_distribution
            if step.args["what"] == "distribution"
            else cloudfront.get_origin_access_control
        )
        gone = attempt(lambda: if_exists(lambda: read(Id=which)) is None)
        return check(step.description, gone, "CloudFront was asked for it", which)

    def _open(self, step: UndoStep) -> Aws:
        return aws(AwsTarget(**{**step.args["target"], "region": step.args["region"]}))


def _remove_distribution(a: Aws, distribution_id: str) -> None:
    cloudfront, deadline = a.client("cloudfront"), time.monotonic() + DEPLOYED_SECONDS
    pause = 0.2
    while found := load_distribution(a, distribution_id):
        config, version = found["DistributionConfig"], found["ETag"]
        if config["Enabled"]:
            off = {**config, "Enabled": False}
            cloudfront.update_distribution(
                Id=distribution_id, IfMatch=version, DistributionConfig=off
            )
        elif found["Status"] == "Deployed":
            cloudfront.delete_distribution(Id=distribution_id, IfMatch=version)
            return
        if time.monotonic() > deadline:
            raise OpswrightError(
                f"Distribution {distribution_id} is disabled but not deployed everywhere yet: "
                "undo again later."
            )
        time.sleep(pause)
        pause = min(pause * 2, 15.0)


def remove_step(what: str, which: str, said: str, target: AwsTarget, region: str) -> UndoStep:
    """The inverse of making a `distribution` or an `origin access control`."""
    kept = target.model_dump(exclude_none=True)
    args = {"what": what, "id": which, "target": kept, "region": region}
    return UndoStep(kind=REMOVE, description=said, args=args)
