"""Certificates and static websites: private, over HTTPS, undone with nothing left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from opswright_aws_devops.tools.certificates import (
    Certificate,
    ValidationRecord,
    judge_certificate,
)
from opswright_aws_devops.website.distribution import (
    SECURITY_HEADERS,
    TLS,
    bucket_statement,
    configuration,
    judge_distribution,
)
from opswright_aws_devops.website.files import cache_control, content_type, scan
from opswright_core.errors import BadInputError
from opswright_core.verdicts import Unread

Clients = Callable[[str], Any]
NAMES = ["example.com", "*.example.com"]


@pytest.fixture
def virginia(cloud: Any) -> Any:
    """A client of ACM where CloudFront's certificates are."""
    return boto3.client("acm", endpoint_url=cloud.endpoint, region_name="us-east-1")


@pytest.fixture
async def zone(agent: Any) -> str:
    made = (await agent.call("create_hosted_zone", name="example.com"))["outputs"]
    zone_id: str = made["zone_id"]
    return zone_id


@pytest.fixture
async def certificate(agent: Any, zone: str) -> str:
    asked = {"name": "shop", "domain_names": NAMES, "for_cloudfront": True}
    arn: str = (await agent.call("create_certificate", **asked))["outputs"]["certificate_arn"]
    return arn


def cnames(route53: Any, zone_id: str) -> dict[str, str]:
    found = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return {r["Name"]: r["ResourceRecords"][0]["Value"] for r in found if r["Type"] == "CNAME"}


# Certificates


async def test_a_certificate_for_cloudfront_is_made_in_us_east_1_with_its_records(
    agent: Any, client_of: Clients, virginia: Any, zone: str
) -> None:
    asked = {"name": "shop", "domain_names": NAMES, "for_cloudfront": True}
    change = await agent.call("create_certificate", **asked)
    made = change["outputs"]
    assert (made["region"], made["status"]) == ("us-east-1", "ISSUED")
    assert made["records_to_create"] == []
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    (record,) = cnames(client_of("route53"), zone).values()  # a name and its wildcard share it
    assert record.endswith("acm-validations.aws.")
    assert (await agent.call("create_certificate", **asked))["reused"]
    assert len(virginia.list_certificates()["CertificateSummaryList"]) == 1
    assert client_of("acm").list_certificates()["CertificateSummaryList"] == []


async def test_the_undo_of_a_certificate_removes_its_records_and_it_can_be_made_again(
    agent: Any, client_of: Clients, zone: str
) -> None:
    asked = {"name": "shop", "domain_names": NAMES}
    for _ in range(2):
        change = await agent.call("create_certificate", **asked)
        undone = await agent.call("undo_change", change_id=change["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
        assert client_of("acm").list_certificates()["CertificateSummaryList"] == []
        assert cnames(client_of("route53"), zone) == {}


async def test_records_of_a_zone_elsewhere_are_told_not_waited_for(agent: Any) -> None:
    asked = {"name": "shop", "domain_names": ["www.example.org"]}
    planned = await agent.call("create_certificate", **asked, dry_run=True)
    assert "No single public zone" in " ".join(planned["plan"]["warnings"])
    made = (await agent.call("create_certificate", **asked))["outputs"]
    (record,) = made["records_to_create"]
    assert record["name"].endswith(".www.example.org.")
    assert record["type"] == "CNAME"


async def test_a_validation_record_that_was_there_stays_after_the_undo(
    agent: Any, client_of: Clients, zone: str
) -> None:
    await agent.call("create_certificate", name="first", domain_names=["example.com"])
    before = cnames(client_of("route53"), zone)
    second = await agent.call("create_certificate", name="second", domain_names=["example.com"])
    await agent.call("undo_change", change_id=second["change_id"])
    assert cnames(client_of("route53"), zone) == before


@pytest.mark.parametrize(
    ("domain_names", "said"),
    [
        ([], "at least 1"),
        (["localhost"], "not a public domain name"),
        (["https://example.com"], "not a DNS name"),
        (["a.*.example.com"], "not a DNS name"),
    ],
)
async def test_a_bad_certificate_is_refused(agent: Any, domain_names: list[str], said: str) -> None:
    refused = await agent.refused("create_certificate", name="shop", domain_names=domain_names)
    assert said in refused


MADE = Certificate(
    certificate_arn="arn", region="r", status="s", domain_names=["a.org"], records_to_create=[]
)
ELSEWHERE = MADE.model_copy(
    update={"records_to_create": [ValidationRecord(name="_x.a.org", type="CNAME", value="y")]}
)
DENIED = Unread(operation="acm:DescribeCertificate", reason="AccessDenied")


@pytest.mark.parametrize(
    ("made", "status", "verdict"),
    [
        (MADE, "ISSUED", "PASS"),
        (MADE, "PENDING_VALIDATION", "FAIL"),
        (ELSEWHERE, "PENDING_VALIDATION", "UNKNOWN"),
        (ELSEWHERE, "FAILED", "FAIL"),
        (MADE, "EXPIRED", "FAIL"),
    ],
)
def test_a_certificate_that_waits_for_somebody_elses_zone_is_unknown(
    made: Certificate, status: str, verdict: str
) -> None:
    certificate = {"Status": status, "DomainName": "a.org"}
    issued, covered, recorded = judge_certificate(made, certificate, True)
    assert (issued.verdict, covered.verdict, recorded.verdict) == (verdict, "PASS", "PASS")


def test_a_certificate_that_cannot_be_read_is_unknown() -> None:
    assert [c.verdict for c in judge_certificate(MADE, DENIED, True)] == ["UNKNOWN"]
    assert [c.verdict for c in judge_certificate(MADE, None, True)] == ["FAIL"]


# Websites


async def test_a_website_is_private_and_over_https(
    agent: Any, client_of: Clients, certificate: str
) -> None:
    asked = {
        "name": "shop-site", "domain_names": ["www.example.com"], "certificate_arn": certificate,
    }  # fmt: skip
    change = await agent.call("create_static_website", **asked)
    made = change["outputs"]
    assert made["url"] == "https://www.example.com"
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    found = client_of("cloudfront").get_distribution(Id=made["distribution_id"])["Distribution"]
    config = found["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    assert config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] == SECURITY_HEADERS
    assert config["ViewerCertificate"]["ACMCertificateArn"] == certificate
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == TLS
    s3 = client_of("s3")
    (statement,) = json.loads(s3.get_bucket_policy(Bucket="shop-site")["Policy"])["Statement"]
    assert statement == bucket_statement("arn:aws:s3:::shop-site", found["ARN"])
    block = s3.get_public_access_block(Bucket="shop-site")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert any("serves nothing" in gap for gap in change["gaps"])
    assert (await agent.call("create_static_website", **asked))["reused"]


async def test_the_undo_of_a_website_leaves_nothing(agent: Any, client_of: Clients) -> None:
    change = await agent.call("create_static_website", name="shop-site")
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    cloudfront = client_of("cloudfront")
    assert not cloudfront.list_distributions()["DistributionList"].get("Items")
    controls = cloudfront.list_origin_access_controls()["OriginAccessControlList"]
    assert not controls.get("Items")
    assert client_of("s3").list_buckets()["Buckets"] == []


async def test_a_distribution_switched_off_by_hand_is_drift(agent: Any, client_of: Clients) -> None:
    made = (await agent.call("create_static_website", name="shop-site"))["outputs"]
    cloudfront = client_of("cloudfront")
    found = cloudfront.get_distribution_config(Id=made["distribution_id"])
    cloudfront.update_distribution(
        Id=made["distribution_id"],
        IfMatch=found["ETag"],
        DistributionConfig={**found["DistributionConfig"], "Enabled": False},
    )
    drift = (await agent.call("find_drift"))["items"][0]
    assert drift["verdict"] == "FAIL"
    assert [d["name"] for d in drift["differences"]] == ["It is enabled"]


async def test_a_taken_name_is_refused(agent: Any, client_of: Clients, certificate: str) -> None:
    client_of("s3").create_bucket(
        Bucket="shop-site", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert "outside opswright" in await agent.refused("create_static_website", name="shop-site")
    asked = {"domain_names": ["www.example.com"], "certificate_arn": certificate}
    await agent.call("create_static_website", name="first-site", **asked)
    said = await agent.refused("create_static_website", name="second-site", **asked)
    assert "one distribution only" in said


ARN = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"domain_names": ["www.example.com"]}, "belong together"),
        ({"certificate_arn": ARN}, "belong together"),
        ({"domain_names": ["www.example.com"], "certificate_arn": ARN}, "not there"),
        ({"certificate_arn": ARN.replace("us-east-1", "eu-west-1")}, "pattern"),
        ({"name": "Shop"}, "pattern"),
        ({"domain_names": ["a b"]}, "not a DNS name"),
    ],
)
async def test_a_bad_website_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    asked = {"name": "shop-site", **arguments}
    assert said in await agent.refused("create_static_website", **asked)


async def test_a_certificate_for_other_names_is_refused(agent: Any, certificate: str) -> None:
    said = await agent.refused(
        "create_static_website",
        name="shop-site",
        domain_names=["www.example.org"],
        certificate_arn=certificate,
    )
    assert "not for www.example.org" in said


CONFIG = configuration(
    reference="r", comment="c", bucket_domain="b.s3.eu-west-1.amazonaws.com",
    access_control_id="OAC", domain_names=["www.example.com"], certificate_arn=ARN,
    not_found_page="404.html", single_page=False,
)  # fmt: skip
LIVE = {"Id": "E1", "Status": "Deployed", "DistributionConfig": CONFIG}


def judged(changes: dict[str, Any]) -> list[str]:
    checks = judge_distribution(
        {**LIVE, "DistributionConfig": {**CONFIG, **changes}},
        domain_names=["www.example.com"],
        access_control_id="OAC",
    )
    return [c.name for c in checks if c.verdict != "PASS"]


def test_the_configuration_is_what_is_judged_good_and_what_cloudfront_takes() -> None:
    from botocore.session import Session
    from botocore.validate import validate_parameters

    assert judged({}) == []
    shape = Session().get_service_model("cloudfront").shape_for("DistributionConfig")
    validate_parameters(CONFIG, shape)


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"Enabled": False}, "It is enabled"),
        ({"Aliases": {"Quantity": 0}}, "It answers for its names"),
        (
            {"ViewerCertificate": {"MinimumProtocolVersion": "TLSv1"}},
            "It takes TLS 1.2 and newer alone",
        ),
        (
            {"DefaultCacheBehavior": {**CONFIG["DefaultCacheBehavior"],
                                      "ViewerProtocolPolicy": "allow-all"}},
            "HTTP is redirected to HTTPS",
        ),
        (
            {"DefaultCacheBehavior": {**CONFIG["DefaultCacheBehavior"],
                                      "ResponseHeadersPolicyId": None}},
            "Answers have security headers",
        ),
        (
            {"Origins": {"Items": [{"OriginAccessControlId": ""}]}},
            "It alone reads the bucket",
        ),
    ],
)  # fmt: skip
def test_what_a_distribution_lacks_fails(changes: dict[str, Any], failed: str) -> None:
    assert judged(changes) == [failed]


def test_a_distribution_that_is_gone_fails_and_one_unread_is_unknown() -> None:
    verdicts = [
        judge_distribution(found, domain_names=[], access_control_id=None)[0].verdict
        for found in (None, DENIED)
    ]
    assert verdicts == ["FAIL", "UNKNOWN"]


def test_a_single_page_site_answers_its_index_for_every_path() -> None:
    asked = {"reference": "r", "comment": "c", "bucket_domain": "b", "access_control_id": "o"}
    config = configuration(
        **asked, domain_names=[], certificate_arn=None, not_found_page="x", single_page=True
    )
    pages = {
        (e["ResponsePagePath"], e["ResponseCode"]) for e in config["CustomErrorResponses"]["Items"]
    }
    assert pages == {("/index.html", "200")}


# Files


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>one</h1>")
    (folder / "assets" / "app-4f3a9c21.js").write_text("1")
    (folder / ".env").write_text("SECRET=1")
    (folder / "link").symlink_to("/etc/hostname")
    return folder


def body(s3: Any, key: str) -> bytes:
    content: bytes = s3.get_object(Bucket="shop-site", Key=key)["Body"].read()
    return content


async def test_files_are_served_with_types_and_cache_headers_and_secrets_stay_here(
    agent: Any, client_of: Clients, site: Path
) -> None:
    made = (await agent.call("create_static_website", name="shop-site"))["outputs"]
    asked = {
        "folder": str(site), "bucket": "shop-site", "distribution_id": made["distribution_id"],
    }  # fmt: skip
    planned = await agent.call("deploy_website", **asked, dry_run=True)
    assert "Left out, hidden or links: 2 (.env, link)" in planned["plan"]["warnings"]
    done = (await agent.call("deploy_website", **asked))["outputs"]
    assert (done["uploaded"], done["unchanged"]) == (2, 0)
    assert done["invalidation_id"]
    s3 = client_of("s3")
    page = s3.head_object(Bucket="shop-site", Key="index.html")
    assert (page["ContentType"], page["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    script = s3.head_object(Bucket="shop-site", Key="assets/app-4f3a9c21.js")
    assert script["ContentType"] == "text/javascript; charset=utf-8"
    assert "immutable" in script["CacheControl"]
    assert {o["Key"] for o in s3.list_objects_v2(Bucket="shop-site")["Contents"]} == {
        "index.html", "assets/app-4f3a9c21.js",
    }  # fmt: skip
    assert (await agent.call("deploy_website", **asked))["reused"]


async def test_only_what_changed_is_put_and_undo_brings_the_old_files_back(
    agent: Any, client_of: Clients, site: Path
) -> None:
    await agent.call("create_bucket", name="shop-site")
    asked = {"folder": str(site), "bucket": "shop-site", "delete_removed": True}
    await agent.call("deploy_website", **asked)
    (site / "index.html").write_text("<h1>two</h1>")
    (site / "new.css").write_text("b{}")
    (site / "assets" / "app-4f3a9c21.js").unlink()
    second = await agent.call("deploy_website", **asked)
    assert (second["outputs"]["uploaded"], second["outputs"]["deleted"]) == (2, 1)
    s3 = client_of("s3")
    assert body(s3, "index.html") == b"<h1>two</h1>"
    undone = await agent.call("undo_change", change_id=second["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert body(s3, "index.html") == b"<h1>one</h1>"
    restored = s3.head_object(Bucket="shop-site", Key="index.html")
    assert restored["ContentType"] == "text/html; charset=utf-8"
    assert body(s3, "assets/app-4f3a9c21.js") == b"1"
    keys = {o["Key"] for o in s3.list_objects_v2(Bucket="shop-site")["Contents"]}
    assert "new.css" not in keys


async def test_undo_does_not_overwrite_a_file_put_since(
    agent: Any, client_of: Clients, site: Path
) -> None:
    await agent.call("create_bucket", name="shop-site")
    first = await agent.call("deploy_website", folder=str(site), bucket="shop-site")
    client_of("s3").put_object(Bucket="shop-site", Key="index.html", Body=b"by hand")
    said = await agent.refused("undo_change", change_id=first["change_id"])
    assert "was changed since" in said
    assert body(client_of("s3"), "index.html") == b"by hand"


async def test_a_deployment_that_was_cut_off_goes_on(
    watched: Any, client_of: Clients, site: Path
) -> None:
    await watched.call("create_bucket", name="shop-site")
    asked = {"folder": str(site), "bucket": "shop-site"}
    await watched.cut_off("deploy_website", "PutObject", after=1, **asked)
    keys = [o["Key"] for o in client_of("s3").list_objects_v2(Bucket="shop-site")["Contents"]]
    assert keys == ["assets/app-4f3a9c21.js"]  # pages come last
    assert (await watched.call("deploy_website", **asked))["status"] == "done"
    assert body(client_of("s3"), "index.html") == b"<h1>one</h1>"


async def test_a_bucket_without_versions_is_refused(
    agent: Any, client_of: Clients, site: Path
) -> None:
    client_of("s3").create_bucket(
        Bucket="shop-site", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    said = await agent.refused("deploy_website", folder=str(site), bucket="shop-site")
    assert "not versioned" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"folder": "/nowhere/at/all"}, "not a folder"),
        ({"folder": "a\0b"}, "cannot be looked at"),
        ({"bucket": "no-such-bucket-here"}, "does not exist"),
        ({"distribution_id": "E00000000"}, "no CloudFront distribution"),
    ],
)
async def test_a_bad_deployment_is_refused(
    agent: Any, site: Path, arguments: dict[str, Any], said: str
) -> None:
    await agent.call("create_bucket", name="shop-site")
    asked = {"folder": str(site), "bucket": "shop-site", **arguments}
    assert said in await agent.refused("deploy_website", **asked)


def test_a_folder_without_an_index_is_not_taken_for_a_website(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no index\.html"):
        scan(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "kind", "cached"),
    [
        ("index.html", "text/html; charset=utf-8", "no-cache"),
        ("a/app.js", "text/javascript; charset=utf-8", "public, max-age=3600"),
        ("app.8f3a9c21.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
        ("stylesheet.css", "text/css; charset=utf-8", "public, max-age=3600"),
        ("main-component.js", "text/javascript; charset=utf-8", "public, max-age=3600"),
        ("font.woff2", "font/woff2", "public, max-age=3600"),
        ("feed.xml", "text/xml; charset=utf-8", "no-cache"),
        ("data.tar.gz", "application/octet-stream", "public, max-age=3600"),
        ("LICENSE", "application/octet-stream", "public, max-age=3600"),
    ],
)
def test_files_have_the_type_and_the_cache_time_of_their_kind(
    key: str, kind: str, cached: str
) -> None:
    assert (content_type(key), cache_control(key)) == (kind, cached)


# In plain words


async def test_a_website_on_a_domain_is_hosted_by_a_task(
    agent: Any, client_of: Clients, zone: str, site: Path
) -> None:
    report = await agent.call(
        "handle_task",
        task=f"host a static website named shop-site on domain www.example.com from {site}",
    )
    assert (report["status"], report["skill"]) == ("completed", "host_static_website")
    assert report["outputs"]["url"] == "https://www.example.com"
    found = client_of("route53").list_resource_record_sets(HostedZoneId=zone)
    aliases = {
        r["Type"]: r["AliasTarget"]["DNSName"].rstrip(".")
        for r in found["ResourceRecordSets"]
        if "AliasTarget" in r
    }
    assert aliases == dict.fromkeys(("A", "AAAA"), report["outputs"]["distribution_domain"])
    assert body(client_of("s3"), "index.html") == b"<h1>one</h1>"


async def test_a_website_without_a_domain_is_hosted_by_a_task(agent: Any) -> None:
    report = await agent.call("handle_task", task="host a static website named shop-site")
    assert report["status"] == "completed"
    assert report["outputs"]["url"].endswith(".cloudfront.net")
    assert "deploy_website" in report["summary"]


async def test_a_domain_whose_zone_is_elsewhere_is_said_not_done(
    agent: Any, client_of: Clients
) -> None:
    report = await agent.call(
        "handle_task", task="host a static website named shop-site on www.example.org"
    )
    assert report["status"] == "partial"
    assert "Point www.example.org at" in report["summary"]
