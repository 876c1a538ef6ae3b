"""Static websites: a private bucket behind CloudFront, over HTTPS."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.dns.values import check_name
from opswright_aws_devops.dns.zones import normal
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.ownership import Request, key, outstanding, short_name
from opswright_aws_devops.tools.buckets import (
    BUCKET,
    Bucket,
    judge_bucket,
    load_bucket,
    make_bucket,
    owned_tags,
    tls_only_policy,
)
from opswright_aws_devops.tools.certificates import CLOUDFRONT_REGION, load_certificate
from opswright_aws_devops.website.distribution import (
    DEPLOYED_SECONDS,
    bucket_statement,
    configuration,
    find_access_control,
    judge_distribution,
    load_distribution,
    load_distributions,
    remove_step,
)
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, ConflictError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import attempt

DISTRIBUTION = "cloudfront:distribution"
ACCESS_CONTROL = "cloudfront:origin-access-control"
OLD_VERSIONS_DAYS = 90


class Website(BaseModel):
    """A website: where it is read, and where its files go."""

    bucket: str
    distribution_id: str
    distribution_domain: str
    url: str
    domain_names: list[str]


@write_tool(toolset="edge")
def create_static_website(
    name: Annotated[
        str,
        Field(
            description="Of its bucket, unique in all of AWS",
            pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
        ),
    ],
    domain_names: Annotated[
        list[str], Field(description="With certificate_arn", max_length=10)
    ] = [],  # noqa: B006 (never changed)
    certificate_arn: Annotated[
        str | None,
        Field(
            description="In us-east-1", pattern=r"^arn:[a-z-]+:acm:us-east-1:\d{12}:certificate/"
        ),
    ] = None,
    not_found_page: Annotated[
        str, Field(description="Answered for what is missing", max_length=200)
    ] = "404.html",
    single_page: Annotated[bool, Field(description="Answer index.html instead")] = False,
    target: Target = HERE,
) -> Work[Website]:
    """Create a website: private bucket, CloudFront, HTTPS; deploy_website puts files into it."""
    a = aws(target)
    for domain in domain_names:
        check_name(domain)
    domains = list(dict.fromkeys(map(normal, domain_names)))
    if bool(domains) != bool(certificate_arn):
        raise BadInputError(
            "domain_names and certificate_arn belong together: create_certificate with "
            "for_cloudfront makes one."
        )
    settings = {
        "domain_names": domains,
        "certificate_arn": certificate_arn,
        "not_found_page": not_found_page.lstrip("/"),
        "single_page": single_page,
    }
    request = Request.of("create_static_website", name, **settings)
    control = short_name(name, 64)

    def verify(made: Website) -> list[Any]:
        state = attempt(lambda: load_bucket(a, name))
        found = attempt(lambda: load_distribution(a, made.distribution_id))
        used = None if a.is_emulator else find_access_control(a, control) or "none"
        bucket = Bucket(
            bucket=name, arn=f"arn:{a.partition}:s3:::{name}", region=a.region, versioned=True,
            encrypted=True, public_access_blocked=True,
        )  # fmt: skip
        return [
            *judge_bucket(bucket, state, versioned=True, tls_only=not a.is_emulator),
            *judge_distribution(found, domain_names=domains, access_control_id=used),
        ]

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, control, domains, certificate_arn),
        apply=lambda rec: _apply(a, rec, request, control, settings, target),
        verify=verify,
        outputs=Website,
    )


def _comment(request: Request) -> str:
    """By what a distribution is known in a list, which has no tags."""
    return f"{request.name} (opswright:request={request.id})"


def _own(a: Aws, request: Request) -> dict[str, Any] | None:
    found = (d for d in load_distributions(a) if d["Comment"] == _comment(request))
    return next(found, None)


def _plan(
    a: Aws, request: Request, control: str, domains: list[str], certificate_arn: str | None
) -> ChangePlan:
    if certificate_arn:
        _refuse_unfit(a, certificate_arn, domains)
    name, known = request.name, []
    tags = owned_tags(a, name)
    if tags is not None:
        request.claim(f"bucket {name}", tags)
        known.append(key(BUCKET, name))
    distributions = load_distributions(a)
    own = next((d for d in distributions if d["Comment"] == _comment(request)), None)
    for other in distributions:
        taken = set(domains) & set(other["Aliases"].get("Items", []))
        if taken and other is not own:
            raise ConflictError(
                f"{', '.join(sorted(taken))} is a name of distribution {other['Id']} already; "
                "CloudFront gives a name to one distribution only."
            )
    if own:
        known.append(key(DISTRIBUTION, name))
    if find_access_control(a, control):
        if tags is None and own is None:
            raise ConflictError(
                f"The name {control!r} is taken: an origin access control of that name exists "
                "already and was made outside opswright. Choose another name, or delete it."
            )
        known.append(key(ACCESS_CONTROL, control))
    detail = f"for {', '.join(domains)}" if domains else "under its cloudfront.net name"
    warnings = [
        "Undoing this deletes the bucket with every file in it, and takes some minutes: CloudFront "
        "removes a distribution only when it is disabled everywhere.",
        "index.html is answered for the site's root alone, not for folders in it.",
    ]
    if not domains:
        warnings.append("Under its cloudfront.net name CloudFront takes TLS 1.0 and 1.1 too.")
    return ChangePlan(
        summary=f"Create website {name} {detail}",
        actions=outstanding(
            [
                Action(verb="create", type=BUCKET, name=name, detail="private, encrypted"),
                Action(verb="create", type=ACCESS_CONTROL, name=control, detail="signs requests"),
                Action(verb="create", type=DISTRIBUTION, name=name, detail=detail),
            ],
            known,
        ),
        warnings=warnings,
        observed={"known": known},
    )


def _refuse_unfit(a: Aws, arn: str, domains: list[str]) -> None:
    """Raise unless the certificate is there, issued and for every name."""
    found = must_exist(f"Certificate {arn}", lambda: load_certificate(a.at(CLOUDFRONT_REGION), arn))
    if found is None or found["Status"] != "ISSUED":
        status = found["Status"] if found else "not there"
        raise BadInputError(
            f"Certificate {arn} is {status}; CloudFront takes an issued one: create_certificate "
            "says what its validation waits for."
        )
    covered = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    left = [d for d in domains if not {d, f"*.{d.partition('.')[2]}"} & covered]
    if left:
        raise BadInputError(f"The certificate is not for {', '.join(left)}.")


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    control: str,
    settings: dict[str, Any],
    target: AwsTarget,
) -> Website:
    name, cloudfront = request.name, a.client("cloudfront")
    bucket = make_bucket(a, rec, request, True, OLD_VERSIONS_DAYS, target)

    def find_control() -> dict[str, str] | None:
        found = find_access_control(a, control)
        return {"id": found} if found else None

    def make_control() -> dict[str, str]:
        made = find_control()
        if made is None:
            asked = {
                "Name": control,
                "Description": _comment(request),
                "SigningProtocol": "sigv4",
                "SigningBehavior": "always",
                "OriginAccessControlOriginType": "s3",
            }
            answer = cloudfront.create_origin_access_control(OriginAccessControlConfig=asked)
            made = {"id": answer["OriginAccessControl"]["Id"]}
        return made

    control_id = rec.step(
        key(ACCESS_CONTROL, control),
        make_control,
        undo=lambda made: [
            remove_step(
                "origin access control", made["id"], f"delete origin access control {control}",
                target, a.region,
            )
        ],
        resource=lambda made: ResourceRef(type=ACCESS_CONTROL, id=made["id"], name=control),
        find=find_control,
    )["id"]  # fmt: skip

    def find_distribution() -> dict[str, str] | None:
        found = _own(a, request)
        return {k: found[k] for k in ("Id", "ARN", "DomainName")} if found else None

    def make_distribution() -> dict[str, str]:
        if found := find_distribution():
            return found
        suffix = "amazonaws.com.cn" if a.partition == "aws-cn" else "amazonaws.com"
        wanted = configuration(
            reference=rec.change_id,
            comment=_comment(request),
            bucket_domain=f"{name}.s3.{a.region}.{suffix}",
            access_control_id=control_id,
            **settings,
        )
        tagged = {"DistributionConfig": wanted, "Tags": {"Items": request.tag_list(name)}}
        made = cloudfront.create_distribution_with_tags(DistributionConfigWithTags=tagged)
        return {k: made["Distribution"][k] for k in ("Id", "ARN", "DomainName")}

    made = rec.step(
        key(DISTRIBUTION, name),
        make_distribution,
        undo=lambda made: [
            remove_step(
                "distribution", made["Id"], f"disable and delete distribution {made['Id']}",
                target, a.region,
            )
        ],
        resource=lambda made: ResourceRef(type=DISTRIBUTION, id=made["Id"], name=name),
        find=find_distribution,
    )  # fmt: skip
    rec.step("only CloudFront reads the bucket", lambda: _let_read(a, bucket, made["ARN"]))
    rec.wait(
        f"distribution {made['Id']} is deployed",
        lambda: (load_distribution(a, made["Id"]) or {}).get("Status") == "Deployed",
        timeout_seconds=DEPLOYED_SECONDS,
        every_seconds=15,
    )
    if a.is_emulator:
        rec.gap(
            "The emulator keeps the distribution but serves nothing through it, and forgets its "
            "origin access control."
        )
    names = settings["domain_names"]
    return Website(
        bucket=name,
        distribution_id=made["Id"],
        distribution_domain=made["DomainName"],
        url=f"https://{names[0] if names else made['DomainName']}",
        domain_names=names,
    )


def _let_read(a: Aws, bucket: Bucket, distribution_arn: str) -> dict[str, bool]:
    """The bucket's policy, which goes with the bucket: TLS alone (as it has), and CloudFront."""
    policy = json.loads(tls_only_policy(bucket.arn))
    if a.is_emulator:  # it speaks plain HTTP, as create_bucket says too
        policy["Statement"] = []
    policy["Statement"].append(bucket_statement(bucket.arn, distribution_arn))
    a.client("s3").put_bucket_policy(Bucket=bucket.bucket, Policy=json.dumps(policy))
    return {"done": True}
