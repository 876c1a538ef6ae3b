"""Kinds that are read on request: copies of data, images, ways in from outside, and logs."""

import re
from typing import Any

from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws, tag_list
from opswright_core.parallel import each

_BUCKET = re.compile(r"(?P<bucket>.+)\.s3[.-].*amazonaws\.com(\.cn)?")
_API = re.compile(r"(?P<id>[a-z0-9]+)\.execute-api\..*")


def _snapshots(a: Aws) -> Items:
    """The account's own, not the many that others made public."""
    return listed(a, SNAPSHOT, OwnerIds=["self"])


def _one_snapshot(a: Aws, snapshot_id: str) -> Items:
    """Without a page's size, which EC2 refuses beside ids."""
    which = {"OwnerIds": ["self"], "SnapshotIds": [snapshot_id]}
    return a.pages("ec2", SNAPSHOT.operation, SNAPSHOT.items, **which)


def _images(a: Aws) -> Items:
    return listed(a, IMAGE, Owners=["self"])


def _one_image(a: Aws, image_id: str) -> Items:
    which = {"Owners": ["self"], "ImageIds": [image_id]}
    return a.pages("ec2", IMAGE.operation, IMAGE.items, **which)


def _rest_apis(a: Aws) -> Items:
    return [_rest_api(a, api) for api in listed(a, REST_API)]


def _rest_api(a: Aws, api: dict[str, Any]) -> dict[str, Any]:
    path = f"restapis/{api['id']}"
    return {**api, "Arn": _api_arn(a, path), "tags": tag_list(api.get("tags", {}))}


def _one_rest_api(a: Aws, api_id: str) -> Items:
    return [_rest_api(a, _plain(a.client("apigateway").get_rest_api(restApiId=api_id)))]


def _apis(a: Aws) -> Items:
    return [_api(a, api) for api in listed(a, API)]


def _api(a: Aws, api: dict[str, Any]) -> dict[str, Any]:
    return {
        **api,
        "Arn": _api_arn(a, f"apis/{api['ApiId']}"),
        "Tags": tag_list(api.get("Tags", {})),
    }


def _one_api(a: Aws, api_id: str) -> Items:
    return [_api(a, _plain(a.client("apigatewayv2").get_api(ApiId=api_id)))]


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _api_arn(a: Aws, path: str) -> str:
    return f"arn:{a.partition}:apigateway:{a.region}::/{path}"


def _distributions(a: Aws) -> Items:
    """Distributions with their tags, and `OriginNames`: what they fetch from, as others name it."""
    client = a.client("cloudfront")
    found = [
        item
        for page in client.get_paginator("list_distributions").paginate()
        for item in page["DistributionList"].get("Items", [])
    ]

    def tags(item: dict[str, Any]) -> list[dict[str, str]]:
        answer = client.list_tags_for_resource(Resource=item["ARN"])
        told: list[dict[str, str]] = answer["Tags"].get("Items", [])
        return told

    return [
        {
            **item,
            "Tags": told,
            "OriginNames": [
                origin_name(origin["DomainName"]) for origin in item["Origins"].get("Items", [])
            ],
        }
        for item, told in zip(found, each(found, tags), strict=True)
    ]


def origin_name(domain: str) -> str:
    """What an origin's address means: a bucket's name, an API's id, else the address itself."""
    if found := _BUCKET.fullmatch(domain):
        return found["bucket"]
    if found := _API.fullmatch(domain):
        return found["id"]
    return domain.removeprefix("dualstack.")


def _log_groups(a: Aws, **which: str) -> Items:
    """Their ARNs as tags and other services name them, without the streams (`:*`)."""
    return [
        {**group, "arn": group["arn"].removesuffix(":*")}
        for group in listed(a, LOG_GROUP, **which)
    ]  # fmt: skip


def _one_log_group(a: Aws, name: str) -> Items:
    """Log groups are found by the beginning of their names."""
    found = _log_groups(a, logGroupNamePrefix=name)
    return [group for group in found if group["logGroupName"] == name]


SNAPSHOT = ResourceKind(
    "ec2:snapshot", "ec2", "describe_snapshots", "Snapshots", "SnapshotId", vpc="",
    prefix="snap-", page_size=1000, is_on_request=True, read=_snapshots, one=_one_snapshot,
    arn_part=":snapshot/",
)  # fmt: skip
IMAGE = ResourceKind(
    "ec2:image", "ec2", "describe_images", "Images", "ImageId", name="Name", vpc="",
    prefix="ami-", page_size=1000, is_on_request=True, read=_images, one=_one_image,
    arn_part=":image/",
)  # fmt: skip
REST_API = ResourceKind(
    "apigateway:rest-api", "apigateway", "get_rest_apis", "items", "id", name="name", arn="Arn",
    vpc="", state="", tags="tags", page_size=500, is_on_request=True, read=_rest_apis,
    one=_one_rest_api, arn_part="::/restapis/",
)  # fmt: skip
API = ResourceKind(
    "apigatewayv2:api", "apigatewayv2", "get_apis", "Items", "ApiId", name="Name", arn="Arn",
    vpc="", state="ProtocolType", is_on_request=True, read=_apis, one=_one_api,
    arn_part="::/apis/",
)  # fmt: skip
DISTRIBUTION = ResourceKind(
    "cloudfront:distribution", "cloudfront", "list_distributions", "", "Id", name="DomainName",
    arn="ARN", vpc="", state="Status", is_account_wide=True, is_on_request=True,
    read=_distributions,
)  # fmt: skip
LOG_GROUP = ResourceKind(
    "logs:log-group", "logs", "describe_log_groups", "logGroups", "logGroupName", arn="arn",
    vpc="", state="", page_size=50, tagged_as="logs:log-group", is_on_request=True,
    read=_log_groups, one=_one_log_group, arn_part=":log-group:",
)  # fmt: skip

DB_SNAPSHOT: ResourceKind = ResourceKind(
    "rds:snapshot", "rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier",
    arn="DBSnapshotArn", state="Status", tags="TagList", page_size=100, is_on_request=True,
    one=lambda a, name: listed(a, DB_SNAPSHOT, DBSnapshotIdentifier=name),
    arn_part=":snapshot:",
)  # fmt: skip
CLUSTER_SNAPSHOT: ResourceKind = ResourceKind(
    "rds:cluster-snapshot", "rds", "describe_db_cluster_snapshots", "DBClusterSnapshots",
    "DBClusterSnapshotIdentifier", arn="DBClusterSnapshotArn", state="Status",
    tags="TagList", page_size=100, is_on_request=True,
    one=lambda a, name: listed(a, CLUSTER_SNAPSHOT, DBClusterSnapshotIdentifier=name),
    arn_part=":cluster-snapshot:",
)  # fmt: skip

KINDS = (
    SNAPSHOT,
    IMAGE,
    DB_SNAPSHOT,
    CLUSTER_SNAPSHOT,
    REST_API,
    API,
    DISTRIBUTION,
    LOG_GROUP,
    ResourceKind(
        "lambda:layer", "lambda", "list_layers", "Layers", "LayerName", arn="LayerArn", vpc="",
        state="", page_size=50, is_on_request=True,
    ),
)  # fmt: skip
