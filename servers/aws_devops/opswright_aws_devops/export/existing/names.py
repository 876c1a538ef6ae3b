"""Existing hosted zones with their records, and certificates, as parts."""

from typing import Any

from opswright_aws_devops.export.existing.described import Parts, own_tags

MOST_RECORDS = 150
"""Of one zone; a template has 500 resources at most, and other parts want room."""

_RECORD = (
    "Name", "Type", "TTL", "SetIdentifier", "Weight", "Region", "Failover", "MultiValueAnswer",
    "HealthCheckId", "AliasTarget",
)  # fmt: skip
_GEOGRAPHIC = (
    "GeoLocation",
    "GeoProximityLocation",
    "CidrRoutingConfig",
    "TrafficPolicyInstanceId",
)


def zone(it: Parts, item: dict[str, Any]) -> None:
    """A zone with its records; the NS and SOA records of its own name are Route 53's."""
    zone_id, name = item["Id"], item["Name"]
    route53 = it.a.client("route53")
    more = route53.get_hosted_zone(Id=zone_id)
    comment = item.get("Config", {}).get("Comment")
    vpcs = [{"VPCId": v["VPCId"], "VPCRegion": v["VPCRegion"]} for v in more.get("VPCs", [])]
    it.add(
        "Route53::HostedZone",
        name,
        {
            "Name": name,
            "HostedZoneConfig": {"Comment": comment} if comment else None,
            "VPCs": vpcs,
            "HostedZoneTags": own_tags(item.get("Tags")),
        },
        ids={"Id": zone_id},
    )
    records = [
        record
        for page in route53.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=zone_id
        )
        for record in page["ResourceRecordSets"]
        if not (record["Name"] == name and record["Type"] in {"NS", "SOA"})
    ]
    for record in records[:MOST_RECORDS]:
        _record(it, zone_id, record)
    if len(records) > MOST_RECORDS:
        it.leave_out(name, f"{len(records) - MOST_RECORDS} of its {len(records)} records")


def _record(it: Parts, zone_id: str, record: dict[str, Any]) -> None:
    name = record["Name"].replace("\\052", "*")
    what = f"{name} {record['Type']}"
    if odd := [key for key in _GEOGRAPHIC if key in record]:
        it.leave_out(what, f"its routing by {', '.join(odd)}")
        return
    own = {key: record[key] for key in _RECORD if key in record}
    if "TTL" in own:
        own["TTL"] = str(own["TTL"])
    it.add(
        "Route53::RecordSet",
        f"{what} {record.get('SetIdentifier', '')}".replace("*", "any"),
        {
            "HostedZoneId": zone_id,
            **own,
            "Name": name,
            "ResourceRecords": [one["Value"] for one in record.get("ResourceRecords", [])],
        },
        import_ids={
            "Record": "_".join(
                filter(None, [zone_id, name, record["Type"], record.get("SetIdentifier")])
            )
        },
    )


def certificate(it: Parts, item: dict[str, Any]) -> None:
    """A certificate that ACM issues; what was brought along has a private key that nobody reads."""
    arn = item["CertificateArn"]
    it_is = it.a.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    name = it_is["DomainName"]
    if it_is["Type"] != "AMAZON_ISSUED":
        it.leave_out(name, f"{it_is['Type'].lower()}: its private key is not to be read")
        return
    methods = {option.get("ValidationMethod") for option in it_is["DomainValidationOptions"]}
    names = [other for other in it_is.get("SubjectAlternativeNames", []) if other != name]
    algorithm = it_is.get("KeyAlgorithm", "").replace("-", "_")
    it.add(
        "CertificateManager::Certificate",
        name.replace("*", "any"),
        {
            "DomainName": name,
            "SubjectAlternativeNames": names,
            "ValidationMethod": "DNS" if "DNS" in methods else "EMAIL",
            "KeyAlgorithm": algorithm if algorithm not in ("", "RSA_2048") else None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"CertificateArn": arn},
    )
    it.leave_out(name, "its validation: a new one waits until its record or mail is answered")
