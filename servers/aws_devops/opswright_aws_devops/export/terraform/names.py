"""Hosted zones, their records and certificates, in the provider's words."""

from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic, tags
from opswright_aws_devops.export.terraform.hcl import Block


def _zone(draft: Draft) -> None:
    config = draft.take("HostedZoneConfig", {})
    # The provider's own default would be written into a zone that has no comment.
    draft.body["comment"] = config.get("Comment", "")
    draft.body["vpc"] = [
        Block({"vpc_id": vpc["VPCId"], "vpc_region": vpc["VPCRegion"]})
        for vpc in draft.take("VPCs", [])
    ]
    if given := draft.take("HostedZoneTags"):
        draft.body["tags"] = tags(given)
    if draft.exists:
        draft.ignored = ("force_destroy",)


def _record(draft: Draft) -> None:
    if "TTL" in draft.rest:
        draft.rest["TTL"] = int(draft.rest["TTL"])
    draft.rest["Name"] = str(draft.rest["Name"]).removesuffix(".")
    if draft.rest["Type"] in {"TXT", "SPF"}:  # the provider puts the outer quotes there itself
        values = draft.take("ResourceRecords", [])
        draft.body["records"] = [value.removeprefix('"').removesuffix('"') for value in values]
    if alias := draft.take("AliasTarget"):
        draft.body["alias"] = Block(
            {
                "name": str(alias["DNSName"]).removesuffix("."),
                "zone_id": alias["HostedZoneId"],
                "evaluate_target_health": alias.get("EvaluateTargetHealth", False),
            }
        )
    for policy, key, name in (
        ("weighted_routing_policy", "Weight", "weight"),
        ("latency_routing_policy", "Region", "region"),
        ("failover_routing_policy", "Failover", "type"),
    ):
        if key in draft.rest:
            draft.body[policy] = Block({name: draft.take(key)})
    if draft.exists:
        draft.ignored = ("allow_overwrite",)


def _certificate(draft: Draft) -> None:
    draft.body["subject_alternative_names"] = draft.take("SubjectAlternativeNames", [])
    for option in draft.take("DomainValidationOptions", []):
        draft.body["validation_option"] = generic(option)


KINDS = {
    "AWS::Route53::HostedZone": Kind(
        "aws_route53_zone", {"Id": "zone_id"}, import_id="{Id}", write=_zone
    ),
    "AWS::Route53::RecordSet": Kind(
        "aws_route53_record",
        renamed={
            "HostedZoneId": "zone_id",
            "ResourceRecords": "records",
            "MultiValueAnswer": "multivalue_answer_routing_policy",
        },
        import_id="{Record}",
        write=_record,
    ),
    "AWS::CertificateManager::Certificate": Kind(
        "aws_acm_certificate",
        {"CertificateArn": "arn"},
        import_id="{CertificateArn}",
        write=_certificate,
    ),
}
