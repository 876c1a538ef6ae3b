"""DNS: zones found by name, records changed in sight of what they answered, undone to that."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.dns.aliases import S3_WEBSITE_ZONES
from opswright_aws_devops.dns.records import answers_of, in_words
from opswright_aws_devops.dns.values import check_name, quoted, record_values
from opswright_aws_devops.dns.zones import Zone, normal, zones_of
from opswright_aws_devops.tools.dns_records import refuse_beside
from opswright_core.errors import BadInputError, ConflictError

Clients = Callable[[str], Any]


def of_zone(route53: Any, zone_id: str) -> dict[tuple[str, str], Any]:
    """The records of a zone without its own NS and SOA."""
    found = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return {(r["Name"], r["Type"]): r for r in found if r["Type"] not in {"NS", "SOA"}}


@pytest.fixture
async def zone(agent: Any) -> str:
    made = (await agent.call("create_hosted_zone", name="example.com"))["outputs"]
    zone_id: str = made["zone_id"]
    return zone_id


async def test_a_public_zone_has_name_servers_and_a_repeat_takes_it_up(
    agent: Any, client_of: Clients
) -> None:
    change = await agent.call("create_hosted_zone", name="Example.COM")
    made = change["outputs"]
    assert made["name"] == "example.com"
    assert made["name_servers"]
    assert any("no DNS queries" in gap for gap in change["gaps"])
    assert (await agent.call("create_hosted_zone", name="Example.COM"))["reused"]
    assert len(client_of("route53").list_hosted_zones()["HostedZones"]) == 1
    tags = client_of("route53").list_tags_for_resource(
        ResourceType="hostedzone", ResourceId=made["zone_id"]
    )["ResourceTagSet"]["Tags"]
    assert {"Key": "opswright:name", "Value": "example.com"} in tags


async def test_a_private_zone_is_for_its_vpcs(agent: Any, client_of: Clients) -> None:
    ec2 = client_of("ec2")
    ids = [ec2.create_vpc(CidrBlock=f"10.{i}.0.0/16")["Vpc"]["VpcId"] for i in range(2)]
    change = await agent.call("create_hosted_zone", name="corp.internal", vpc_ids=ids)
    zone = client_of("route53").get_hosted_zone(Id=change["outputs"]["zone_id"])
    assert {vpc["VPCId"] for vpc in zone["VPCs"]} == set(ids)
    assert change["outputs"]["name_servers"] == []
    asked = {"name": "db.corp.internal", "values": ["10.0.0.9"]}
    assert "No public hosted zone" in await agent.refused("set_dns_record", **asked)
    record = await agent.call("set_dns_record", **asked, private=True)
    assert record["outputs"]["zone_name"] == "corp.internal"


async def test_the_undo_of_a_zone_leaves_nothing_and_waits_for_its_records_to_go(
    agent: Any, client_of: Clients
) -> None:
    zone = await agent.call("create_hosted_zone", name="example.com")
    record = await agent.call("set_dns_record", name="www.example.com", values=["192.0.2.1"])
    refused = await agent.refused("undo_change", change_id=zone["change_id"])
    assert "HostedZoneNotEmpty" in refused
    await agent.call("undo_change", change_id=record["change_id"])
    undone = await agent.call("undo_change", change_id=zone["change_id"])
    assert undone["status"] == "done"
    assert client_of("route53").list_hosted_zones()["HostedZones"] == []


async def test_a_zone_of_somebody_else_is_named_not_doubled(agent: Any, client_of: Clients) -> None:
    client_of("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    assert "set_dns_record uses it" in await agent.refused("create_hosted_zone", name="example.com")


async def test_a_record_goes_into_the_zone_of_the_longest_suffix(
    agent: Any, client_of: Clients, zone: str
) -> None:
    inner = (await agent.call("create_hosted_zone", name="shop.example.com"))["outputs"]["zone_id"]
    made = await agent.call("set_dns_record", name="www.shop.example.com", values=["192.0.2.1"])
    assert made["outputs"]["zone_id"] == inner
    assert ("www.shop.example.com.", "A") in of_zone(client_of("route53"), inner)
    assert of_zone(client_of("route53"), zone) == {}


@pytest.mark.parametrize(
    ("kind", "values", "kept"),
    [
        ("A", ["192.0.2.1", "192.0.2.2"], ["192.0.2.1", "192.0.2.2"]),
        ("AAAA", ["2001:db8::1"], ["2001:db8::1"]),
        ("CNAME", ["Other.example.org"], ["other.example.org."]),
        ("MX", ["10 mail.example.com"], ["10 mail.example.com."]),
        ("TXT", ["v=spf1 -all"], ['"v=spf1 -all"']),
    ],
)
@pytest.mark.usefixtures("zone")
async def test_a_record_of_each_type_is_set_kept_and_undone(
    agent: Any, client_of: Clients, kind: str, values: list[str], kept: list[str]
) -> None:
    asked = {"name": "a.example.com", "type": kind, "values": values}
    change = await agent.call("set_dns_record", **asked)
    zone = change["outputs"]["zone_id"]
    (record,) = of_zone(client_of("route53"), zone).values()
    assert [v["Value"] for v in record["ResourceRecords"]] == kept
    assert (await agent.call("set_dns_record", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert [c["verdict"] for c in undone["checks"]] == ["PASS"]
    assert of_zone(client_of("route53"), zone) == {}


async def test_a_foreign_record_is_shown_from_and_to_and_comes_back_by_undo(
    agent: Any, client_of: Clients, zone: str
) -> None:
    old = {"Name": "www.example.com", "Type": "A", "TTL": 60}
    change = {
        "Action": "CREATE",
        "ResourceRecordSet": {**old, "ResourceRecords": [{"Value": "198.51.100.7"}]},
    }
    route53 = client_of("route53")
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    asked = {"name": "www.example.com", "values": ["192.0.2.1"]}
    planned = (await agent.call("set_dns_record", **asked, dry_run=True))["plan"]
    (action,) = planned["actions"]
    assert action["verb"] == "modify"
    assert "from 198.51.100.7 (TTL 60 s) → 192.0.2.1 (TTL 300 s)" in action["detail"]
    assert "another 60 s" in planned["warnings"][0]
    made = await agent.call("set_dns_record", **asked)
    assert made["outputs"]["before"] == "198.51.100.7 (TTL 60 s)"
    await agent.call("undo_change", change_id=made["change_id"])
    record = of_zone(route53, zone)["www.example.com.", "A"]
    assert (record["TTL"], record["ResourceRecords"]) == (60, [{"Value": "198.51.100.7"}])


async def test_undo_does_not_overwrite_what_somebody_set_since(agent: Any, zone: str) -> None:
    first = await agent.call("set_dns_record", name="www.example.com", values=["192.0.2.1"])
    await agent.call("set_dns_record", name="www.example.com", values=["192.0.2.2"])
    refused = await agent.refused("undo_change", change_id=first["change_id"])
    assert "was changed since, to 192.0.2.2" in refused


async def test_a_value_that_the_journal_does_not_keep_is_never_restored_as_a_mask(
    agent: Any, client_of: Clients, zone: str
) -> None:
    asked = {"name": "_check.example.com", "type": "TXT"}
    first = await agent.call("set_dns_record", **asked, values=["token=abcdef123456"])
    planned = await agent.call("set_dns_record", **asked, values=["other"], dry_run=True)
    assert not planned["plan"]["reversible"]
    second = await agent.call("set_dns_record", **asked, values=["other"])
    refused = await agent.refused("undo_change", change_id=second["change_id"])
    assert "does not keep" in refused
    await agent.call("set_dns_record", **asked, values=["token=abcdef123456"])
    await agent.call("undo_change", change_id=first["change_id"])
    assert of_zone(client_of("route53"), zone) == {}


async def test_a_record_that_is_so_already_is_left_alone(
    agent: Any, client_of: Clients, zone: str
) -> None:
    record = {
        "Name": "www.example.com", "Type": "A", "TTL": 300,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }  # fmt: skip
    client_of("route53").change_resource_record_sets(
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]},
    )
    same = await agent.call("set_dns_record", name="www.example.com", values=["192.0.2.1"])
    assert same["reused"]
    assert same["undo"] == []


async def test_an_alias_points_at_a_load_balancer_by_name_arn_or_dns_name(
    agent: Any, client_of: Clients, zone: str, balancer: dict[str, str]
) -> None:
    (found,) = client_of("elbv2").describe_load_balancers()["LoadBalancers"]
    for what in ("shop", found["LoadBalancerArn"], found["DNSName"]):
        await agent.call("set_dns_record", name="www.example.com", alias_to=what)
        record = of_zone(client_of("route53"), zone)["www.example.com.", "A"]
        assert record["AliasTarget"]["HostedZoneId"] == found["CanonicalHostedZoneId"]
        assert normal(record["AliasTarget"]["DNSName"]) == found["DNSName"].lower()
    report = await agent.call(
        "handle_task", task="point shop.example.com at the load balancer shop"
    )
    assert (report["status"], report["skill"]) == ("completed", "point_name_at_load_balancer")
    assert ("shop.example.com.", "A") in of_zone(client_of("route53"), zone)


async def test_weighted_records_stand_side_by_side_and_no_simple_one_beside_them(
    agent: Any, client_of: Clients, zone: str
) -> None:
    for name, weight in (("blue", 90), ("green", 10)):
        await agent.call(
            "set_dns_record",
            name="www.example.com",
            values=["192.0.2.1"],
            routing={"set_identifier": name, "weight": weight},
        )
    found = client_of("route53").list_resource_record_sets(HostedZoneId=zone)
    weights = {
        r["SetIdentifier"]: r["Weight"] for r in found["ResourceRecordSets"] if "Weight" in r
    }
    assert weights == {"blue": 90, "green": 10}
    refused = await agent.refused("set_dns_record", name="www.example.com", values=["192.0.2.2"])
    assert "simple, weighted or failover alike" in refused


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "either values or alias_to"),
        ({"values": ["192.0.2.1"], "alias_to": "shop"}, "either values or alias_to"),
        ({"values": ["2001:db8::1"]}, "IPv6 address: not for A"),
        ({"values": ["http://x"]}, "not an IP address"),
        ({"values": ["http://x"], "type": "CNAME"}, "no scheme"),
        ({"values": ["mail.example.com"], "type": "MX"}, "priority and a host"),
        ({"values": ["a.org", "b.org"], "type": "CNAME"}, "exactly one value"),
        ({"values": ["a.org"], "type": "CNAME", "name": "example.com"}, "cannot be a CNAME"),
        ({"values": ["192.0.2.1"], "name": "www.example.org"}, "there are: example.com"),
        ({"values": ["192.0.2.1"], "name": "a..example.com"}, "not a DNS name"),
        ({"values": ["192.0.2.1"], "name": "bücher.example.com"}, "punycode"),
        ({"values": ["192.0.2.1"], "zone_id": "ZOTHER"}, "ZOTHER is not of this account"),
        ({"alias_to": "nowhere"}, "Load balancer nowhere does not exist"),
        ({"alias_to": "dxyz.cloudfront.net"}, "no CloudFront distribution"),
        ({"alias_to": "a-1.eu-west-1.elb.amazonaws.com"}, "has the DNS name"),
        ({"alias_to": "https://example.org/"}, "not what an alias points at"),
        ({"alias_to": "other.s3-website-eu-west-1.amazonaws.com"}, "bucket of that name"),
        ({"alias_to": "shop", "type": "TXT"}, "type A or AAAA"),
        ({"values": ["192.0.2.1"], "routing": {"set_identifier": "a"}}, "weight or failover"),
        (
            {
                "values": ["192.0.2.1"],
                "routing": {"set_identifier": "a", "failover": "PRIMARY"},
            },
            "needs health_check_id",
        ),
    ],
)
async def test_a_bad_record_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    assert said in await agent.refused("set_dns_record", **{"name": "www.example.com", **arguments})


async def test_a_cname_stands_alone(agent: Any, zone: str) -> None:
    await agent.call("set_dns_record", name="www.example.com", values=["192.0.2.1"])
    said = await agent.refused(
        "set_dns_record", name="www.example.com", type="CNAME", values=["a.org"]
    )
    assert "a CNAME stands alone" in said


async def test_of_two_zones_of_one_name_the_caller_says_which(
    agent: Any, client_of: Clients, zone: str
) -> None:
    client_of("route53").create_hosted_zone(Name="example.com", CallerReference="other")
    asked = {"name": "www.example.com", "values": ["192.0.2.1"]}
    assert "say zone_id" in await agent.refused("set_dns_record", **asked)
    made = await agent.call("set_dns_record", **asked, zone_id=zone)
    assert made["outputs"]["zone_id"] == zone


async def test_an_s3_website_is_pointed_at_with_a_warning(agent: Any, zone: str) -> None:
    endpoint = "www.example.com.s3-website-eu-west-1.amazonaws.com"
    change = await agent.call(
        "set_dns_record", name="www.example.com", alias_to=endpoint, dry_run=True
    )
    assert any("plain HTTP" in warning for warning in change["plan"]["warnings"])


def test_text_is_quoted_escaped_and_cut_at_255_bytes() -> None:
    assert quoted('a "b" \\') == '"a \\"b\\" \\\\"'
    assert quoted("é") == '"\\303\\251"'
    assert [len(part) for part in quoted("x" * 600).split(" ")] == [257, 257, 92]
    assert record_values("TXT", ['"kept" ']) == ['"kept"']
    assert quoted("") == '""'


@pytest.mark.parametrize("name", ["*.example.com", "_dmarc.example.com", "a", "a.b.c."])
def test_names_of_records_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "a.*.b", "-a.com", "a b.com", "x" * 64, "a.com; rm -rf /"])
def test_what_is_no_name_is_not(name: str) -> None:
    with pytest.raises(BadInputError):
        check_name(name)


PUBLIC = [Zone("Z1", "example.com", False), Zone("Z2", "shop.example.com", False)]
PRIVATE = Zone("Z3", "example.com", True)


@pytest.mark.parametrize(
    ("name", "private", "ids"),
    [
        ("www.example.com", False, ["Z1"]),
        ("a.shop.example.com", False, ["Z2"]),
        ("shop.example.com.", False, ["Z2"]),
        ("notexample.com", False, []),
        ("www.example.com", True, ["Z3"]),
    ],
)
def test_a_name_belongs_to_the_zone_of_its_longest_suffix(
    name: str, private: bool, ids: list[str]
) -> None:
    assert [z.id for z in zones_of([*PUBLIC, PRIVATE], name, private=private)] == ids


def test_answers_compare_whatever_their_order_and_case() -> None:
    def record(values: list[str]) -> dict[str, Any]:
        return {"TTL": 60, "ResourceRecords": [{"Value": v} for v in values]}

    assert answers_of(record(["b", "a"])) == answers_of(record(["a", "b"]))
    alias = {"HostedZoneId": "Z", "DNSName": "A.net.", "EvaluateTargetHealth": False}
    other = {**alias, "DNSName": "a.net"}
    assert answers_of({"AliasTarget": alias}) == answers_of({"AliasTarget": other})
    assert in_words(None) == "nothing"
    assert in_words({**record(["a"]), "Weight": 0}) == "a (TTL 60 s), weight 0"


def test_weighted_and_failover_records_do_not_mix() -> None:
    weighted = {"Name": "w.a.", "Type": "A", "SetIdentifier": "1", "Weight": 1}
    failover = {"Name": "w.a.", "Type": "A", "SetIdentifier": "2", "Failover": "PRIMARY"}
    refuse_beside(weighted, [{**weighted, "SetIdentifier": "3"}], "a")
    with pytest.raises(ConflictError):
        refuse_beside(weighted, [failover], "a")


def test_every_region_of_the_table_is_one() -> None:
    from opswright_core.cloud_errors import known_regions

    assert set(S3_WEBSITE_ZONES) <= set(known_regions())
