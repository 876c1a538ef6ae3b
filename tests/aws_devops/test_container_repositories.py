"""Container repositories: immutable, scanned, encrypted, and undone with their images."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.container_repositories import (
    ContainerRepository,
    RepositoryState,
    judge_repository,
    lifecycle_policy,
)

Clients = Callable[[str], Any]


def names(client_of: Clients) -> list[str]:
    return [r["repositoryName"] for r in client_of("ecr").describe_repositories()["repositories"]]


async def test_a_repository_is_immutable_scanned_encrypted_and_tidied(
    agent: Any, client_of: Clients
) -> None:
    made = (await agent.call("create_container_repository", name="team/shop"))["outputs"]
    ecr = client_of("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=["team/shop"])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found["encryptionConfiguration"] == {"encryptionType": "AES256"}
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="team/shop")["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]
    assert made["repository_uri"].endswith(".dkr.ecr.eu-west-1.amazonaws.com/team/shop")
    assert (await agent.call("create_container_repository", name="team/shop"))["reused"]


async def test_the_undo_of_a_repository_takes_its_images_too(
    agent: Any, client_of: Clients
) -> None:
    change = await agent.call("create_container_repository", name="shop")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": []})
    client_of("ecr").put_image(repositoryName="shop", imageManifest=manifest, imageTag="1.0")
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert names(client_of) == []


async def test_tags_made_mutable_by_hand_are_made_immutable_by_a_repeat(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_container_repository", name="shop")
    client_of("ecr").put_image_tag_mutability(repositoryName="shop", imageTagMutability="MUTABLE")
    again = await agent.call("create_container_repository", name="shop")
    assert (again["status"], again["reused"]) == ("done", False)


async def test_a_plan_says_what_the_repository_loses_and_makes_nothing(
    agent: Any, client_of: Clients
) -> None:
    planned = await agent.call(
        "create_container_repository", name="shop", keep_images=5, dry_run=True
    )
    warnings = " ".join(planned["plan"]["warnings"])
    assert "every image" in warnings
    assert "newest 5" in warnings
    assert names(client_of) == []


async def test_a_repository_of_somebody_else_is_refused(agent: Any, client_of: Clients) -> None:
    client_of("ecr").create_repository(repositoryName="shop")
    said = await agent.refused("create_container_repository", name="shop")
    assert "outside opswright" in said
    await agent.call("create_container_repository", name="blog")
    said = await agent.refused("create_container_repository", name="blog", keep_images=3)
    assert "with other settings" in said


async def test_a_key_of_ones_own_encrypts_and_must_exist(agent: Any, client_of: Clients) -> None:
    key = client_of("kms").create_key()["KeyMetadata"]["Arn"]
    await agent.call("create_container_repository", name="shop", kms_key_arn=key)
    (found,) = client_of("ecr").describe_repositories()["repositories"]
    assert found["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": key}
    missing = key.replace(key[-4:], "0000")
    said = await agent.refused("create_container_repository", name="blog", kms_key_arn=missing)
    assert "does not exist" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "Shop"}, "pattern"),
        ({"name": "shop//x"}, "pattern"),
        ({"name": "shop", "keep_images": -1}, "greater than or equal to 0"),
        ({}, "name is required"),
    ],
)
async def test_a_bad_repository_is_refused(
    agent: Any, arguments: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("create_container_repository", **arguments)


MADE = ContainerRepository(repository_name="r", repository_arn="arn:r", repository_uri="u/r")
FOUND = {
    "repositoryArn": "arn:r",
    "imageTagMutability": "IMMUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
    "encryptionConfiguration": {"encryptionType": "AES256"},
}


@pytest.mark.parametrize(
    ("changed", "lifecycle"),
    [
        ({"imageTagMutability": "MUTABLE"}, lifecycle_policy(5)),
        ({"imageScanningConfiguration": {"scanOnPush": False}}, lifecycle_policy(5)),
        ({"encryptionConfiguration": {"encryptionType": "KMS"}}, lifecycle_policy(5)),
        ({}, lifecycle_policy(0)),
    ],
)
def test_each_deviation_of_a_repository_fails(
    changed: dict[str, Any], lifecycle: dict[str, Any]
) -> None:
    good = RepositoryState(described=FOUND, tags={}, lifecycle=lifecycle_policy(5))
    assert {c.verdict for c in judge_repository(MADE, good, 5, None)} == {"PASS"}
    state = RepositoryState(described={**FOUND, **changed}, tags={}, lifecycle=lifecycle)
    assert [c.verdict for c in judge_repository(MADE, state, 5, None)].count("FAIL") == 1
    assert [c.verdict for c in judge_repository(MADE, None, 5, None)] == ["FAIL"]
