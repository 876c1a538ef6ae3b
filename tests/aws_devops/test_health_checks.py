"""Health checks: asked from the internet, made once, undone to nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.health_checks import (
    HealthCheck,
    configuration,
    judge_health_check,
    said,
)
from opswright_core.errors import BadInputError

Clients = Callable[[str], Any]

ASKED = {"name": "shop", "endpoint": "shop.example.com"}


async def test_a_health_check_is_made_once_used_by_a_record_and_undone(
    watched: Any, client_of: Clients
) -> None:
    route53 = client_of("route53")
    cut_off = await watched.cut_off("create_health_check", "ChangeTagsForResource", **ASKED)
    change = await watched.call("create_health_check", **ASKED)
    assert change["change_id"] == cut_off["change_id"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    (found,) = route53.list_health_checks()["HealthChecks"]
    config = found["HealthCheckConfig"]
    assert (config["Type"], config["Port"], config["ResourcePath"]) == ("HTTPS", 443, "/healthz")
    assert change["outputs"]["health_check_id"] == found["Id"]
    tags = route53.list_tags_for_resource(ResourceType="healthcheck", ResourceId=found["Id"])
    assert {"Key": "Name", "Value": "shop"} in tags["ResourceTagSet"]["Tags"]
    assert (await watched.call("create_health_check", **ASKED))["reused"]
    await watched.call("create_hosted_zone", name="example.com")
    routing = {"set_identifier": "a", "failover": "PRIMARY", "health_check_id": found["Id"]}
    record = await watched.call(
        "set_dns_record", name="shop.example.com", type="A", values=["192.0.2.1"],
        routing=routing,
    )  # fmt: skip
    for change_id in (record["change_id"], change["change_id"]):
        undone = await watched.call("undo_change", change_id=change_id)
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert route53.list_health_checks()["HealthChecks"] == []
    assert (await watched.call("create_health_check", **ASKED))["status"] == "done"


@pytest.mark.parametrize(
    ("endpoint", "protocol", "port", "asks"),
    [
        ("shop.example.com", "HTTPS", None, "https://shop.example.com:443/x"),
        ("8.8.8.8", "HTTP", 8080, "http://8.8.8.8:8080/x"),
        ("8.8.8.8", "TCP", 5432, "tcp://8.8.8.8:5432"),
    ],
)
def test_what_is_asked_follows_from_the_protocol(
    endpoint: str, protocol: Any, port: int | None, asks: str
) -> None:
    assert said(configuration(endpoint, protocol, port, "/x")) == asks


@pytest.mark.parametrize(
    ("endpoint", "protocol", "said"),
    [
        ("10.0.0.1", "HTTP", "no public address"),
        ("shop.example.com", "TCP", "needs a port"),
        ("not a name", "HTTP", "not a name"),
    ],
)
def test_what_route_53_cannot_ask_is_refused(endpoint: str, protocol: Any, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        configuration(endpoint, protocol, None, "/")


def test_a_health_check_that_was_changed_switched_off_or_deleted_fails() -> None:
    config = configuration("shop.example.com", "HTTPS", None, "/")
    made = HealthCheck(health_check_id="h", asks="x")
    for found, verdicts in (
        (config, ["PASS", "PASS"]),
        ({**config, "Port": 80}, ["FAIL", "PASS"]),
        ({**config, "Disabled": True}, ["PASS", "FAIL"]),
        (None, ["FAIL"]),
    ):
        assert [c.verdict for c in judge_health_check(made, found, config)] == verdicts
