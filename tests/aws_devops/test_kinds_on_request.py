"""Snapshots, images, APIs, distributions, logs and layers: read, and judged, when asked for."""

import io
import json
import zipfile
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent, Watched
from tests.aws_devops.test_explanation import graph

from opswright_aws_devops.access.copies import judge_shares, judge_snapshot
from opswright_aws_devops.access.entrances import judge_api, judge_distribution, judge_rest_api
from opswright_aws_devops.graph.entrances import called
from opswright_aws_devops.graph.exposure import exposure_of
from opswright_aws_devops.graph.requested import kinds_beside, kinds_meant, whole_kinds
from opswright_aws_devops.resource_kinds import INVENTORY, ON_REQUEST
from opswright_aws_devops.resource_kinds.requested import origin_name

ME, OTHER = "123456789012", "999999999999"
REGION = "eu-west-1"


def links(told: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(link["relation"], link["type"], link["id"]) for link in told}


@pytest.fixture
def disk(cloud: Any, client_of: Any) -> dict[str, str]:
    """A server with an image made of it: ids of both, and of the image's snapshot and its disk."""
    ec2 = client_of("ec2")
    instance = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="t3.micro"
    )["Instances"][0]["InstanceId"]
    image = ec2.create_image(InstanceId=instance, Name="golden")["ImageId"]
    told = ec2.describe_images(ImageIds=[image])["Images"][0]
    made_of = told["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(
        VolumeId=volume,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "app", "Value": "shop"}]}],
    )["SnapshotId"]
    started = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")[
        "Instances"
    ][0]["InstanceId"]
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image}
    )  # fmt: skip
    return {
        "image": image, "made_of": made_of, "volume": volume, "snapshot": snapshot,
        "started": started,
    }  # fmt: skip


async def test_copies_and_images_are_read_when_asked_for_and_not_before(
    agent: Agent, disk: dict[str, str], client_of: Any
) -> None:
    listed = await agent.call("list_resources")
    assert not {item["type"] for item in listed["items"]} & {"ec2:snapshot", "ec2:image"}
    assert "Only by types: ec2:snapshot, ec2:image" in listed["summary"]
    tagged = await agent.call("list_resources", types=["ec2:snapshot"], tag="app=shop")
    assert [item["id"] for item in tagged["items"]] == [disk["snapshot"]]
    got = await agent.call("get_resource", resource_id=disk["snapshot"])
    assert got["resource"]["type"] == "ec2:snapshot"
    assert got["details"]["VolumeId"] == disk["volume"]
    assert links(got["related"]) == {("taken of", "ec2:volume", disk["volume"])}

    told = await agent.call("explain_resource", resource_id=disk["snapshot"])
    assert links(told["related"]) == {("taken of", "ec2:volume", disk["volume"])}
    assert (told["public"], told["affected"], told["unread"]) == ("no", [], [])
    told = await agent.call("explain_resource", resource_id=disk["volume"])
    assert links(told["related"]) == {("taken of", "ec2:snapshot", disk["snapshot"])}
    assert "ec2:snapshot" not in told["affected_in_all"]

    ec2 = client_of("ec2")
    ec2.modify_image_attribute(
        ImageId=disk["image"], LaunchPermission={"Add": [{"Group": "all"}]}
    )  # fmt: skip
    told = await agent.call("explain_resource", resource_id="golden")
    assert told["public"] == "yes"
    assert ("made of", "ec2:snapshot", disk["made_of"]) in links(told["depends_on"])
    assert [a["type"] for a in told["affected"]] == ["ec2:launch-template"]
    assert links(told["related"]) == {("started from", "ec2:instance", disk["started"])}
    ec2.modify_snapshot_attribute(
        SnapshotId=disk["snapshot"], Attribute="createVolumePermission",
        OperationType="add", UserIds=[OTHER],
    )  # fmt: skip
    told = await agent.call("explain_resource", resource_id=disk["snapshot"])
    assert told["public"] == "other accounts"
    assert OTHER in told["public_because"]


async def test_a_refused_copy_is_unknown_and_named(watched: Watched, disk: dict[str, str]) -> None:
    watched.sessions.refused["DescribeSnapshotAttribute"] = 0
    told = await watched.call("explain_resource", resource_id=disk["snapshot"])
    assert told["public"] == "unknown"
    assert "ec2:DescribeSnapshotAttribute" in told["public_because"]
    watched.sessions.refused["DescribeSnapshots"] = 0
    told = await watched.call("explain_resource", resource_id=disk["volume"])
    assert any(line.startswith("ec2:snapshot by ") for line in told["unread"])
    said = await watched.refused("explain_resource", resource_id=disk["snapshot"])
    assert "ec2:DescribeSnapshots" in said


async def test_a_databases_snapshots_are_explained_with_whom_they_are_shared_with(
    agent: Agent, client_of: Any
) -> None:
    rds = client_of("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t3.micro", Engine="postgres",
        AllocatedStorage=20, MasterUsername="root", MasterUserPassword="hunter2hunter2",
    )  # fmt: skip
    rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="before")
    told = await agent.call("explain_resource", resource_id="rds:snapshot/before")
    assert links(told["related"]) == {("taken of", "rds:db", "shop")}
    assert told["public"] == "no"
    rds.modify_db_snapshot_attribute(
        DBSnapshotIdentifier="before", AttributeName="restore", ValuesToAdd=["all"]
    )
    told = await agent.call(
        "explain_resource", resource_id=f"arn:aws:rds:{REGION}:{ME}:snapshot:before"
    )
    assert told["public"] == "yes"
    told = await agent.call("explain_resource", resource_id="shop")
    assert ("taken of", "rds:snapshot", "before") in links(told["related"])


@pytest.fixture
def served(cloud: Any, client_of: Any) -> dict[str, str]:
    """A function behind two APIs, with a log group, and a bucket behind a distribution."""
    iam = client_of("iam")
    role = iam.create_role(RoleName="hello-role", AssumeRolePolicyDocument="{}")["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("main.py", "def handler(event, context): pass")
    layer = client_of("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": code.getvalue()}
    )
    function = client_of("lambda").create_function(
        FunctionName="hello", Runtime="python3.12", Role=role["Arn"], Handler="main.handler",
        Code={"ZipFile": code.getvalue()}, Layers=[layer["LayerVersionArn"]],
    )["FunctionArn"]  # fmt: skip
    client_of("logs").create_log_group(logGroupName="/aws/lambda/hello")
    v2 = client_of("apigatewayv2")
    api = v2.create_api(Name="front", ProtocolType="HTTP", Tags={"app": "shop"})["ApiId"]
    integration = v2.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    v2.create_route(ApiId=api, RouteKey="GET /", Target=f"integrations/{integration}")
    v2.create_stage(ApiId=api, StageName="$default")
    v1 = client_of("apigateway")
    rest = v1.create_rest_api(name="back")["id"]
    root = v1.get_resources(restApiId=rest)["items"][0]["id"]
    method = {"restApiId": rest, "resourceId": root, "httpMethod": "GET"}
    v1.put_method(**method, authorizationType="AWS_IAM")
    v1.put_integration(
        **method, type="AWS_PROXY", integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
    )  # fmt: skip
    v1.create_deployment(restApiId=rest, stageName="prod")
    client_of("s3").create_bucket(
        Bucket="pictures", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    origin = {
        "Id": "o", "DomainName": f"pictures.s3.{REGION}.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }  # fmt: skip
    distribution = client_of("cloudfront").create_distribution_with_tags(
        DistributionConfigWithTags={
            "DistributionConfig": {
                "CallerReference": "1", "Comment": "", "Enabled": True,
                "Origins": {"Quantity": 1, "Items": [origin]},
                "DefaultCacheBehavior": {
                    "TargetOriginId": "o", "ViewerProtocolPolicy": "redirect-to-https",
                },
            },
            "Tags": {"Items": [{"Key": "app", "Value": "shop"}]},
        }
    )["Distribution"]  # fmt: skip
    return {"function": function, "api": api, "rest": rest, "distribution": distribution["Id"]}


async def test_ways_in_are_explained_with_what_is_behind_them_and_both_ways(
    agent: Agent, served: dict[str, str]
) -> None:
    told = await agent.call("explain_resource", resource_id="hello")
    assert {(a["type"], a["id"], a["relation"]) for a in told["affected"]} == {
        ("apigatewayv2:api", served["api"], "calls"),
        ("apigateway:rest-api", served["rest"], "calls"),
    }
    assert ("logs to", "logs:log-group", "/aws/lambda/hello") in links(told["depends_on"])
    assert links(told["related"]) == {("runs with", "lambda:layer", "shared")}
    told = await agent.call("explain_resource", resource_id="/aws/lambda/hello")
    assert "lambda:function" in told["affected_in_all"]
    told = await agent.call("explain_resource", resource_id=served["api"])
    assert (told["public"], told["unread"]) == ("yes", [])
    assert "GET /" in told["public_because"]
    assert ("calls", "lambda:function", "hello") in links(told["depends_on"])
    arn = f"arn:aws:apigateway:{REGION}::/restapis/{served['rest']}"
    told = await agent.call("explain_resource", resource_id=arn)
    assert (told["public"], told["unread"]) == ("no", [])
    told = await agent.call("explain_resource", resource_id="pictures")
    assert told["public"] == "no"
    assert f"distribution {served['distribution']} gives everyone" in told["public_because"]
    told = await agent.call("explain_resource", resource_id=served["distribution"])
    assert told["public"] == "yes"
    assert links(told["depends_on"]) == {("fetches from", "s3:bucket", "pictures")}
    listed = await agent.call(
        "list_resources", types=["distribution", "apigatewayv2:api"], tag="app=shop"
    )
    assert {(item["id"], item["region"]) for item in listed["items"]} == {
        (served["distribution"], "global"), (served["api"], REGION),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own", "needs", "needed", "read"),
    [
        ("ec2:volume", [], ["ec2:instance"], {"ec2:snapshot"}),
        ("ec2:launch-template", [], [], {"ec2:image", "ec2:snapshot"}),
        ("ec2:image", [], [], {"ec2:snapshot", "ec2:image"}),
        ("ec2:snapshot", [], [], {"ec2:image", "ec2:snapshot"}),
        ("ec2:instance", ["ec2:volume"], [], {"ec2:image"}),
        ("iam:role", [], [], set()),
        ("elb:targetgroup", [], ["elb:loadbalancer"],
         {"apigateway:rest-api", "apigatewayv2:api", "cloudfront:distribution"}),
        ("ecs:service", [], [], {"logs:log-group"}),
    ],
)  # fmt: skip
def test_only_kinds_that_may_hang_together_are_read(
    own: str, needs: list[str], needed: list[str], read: set[str]
) -> None:
    assert {kind.type for kind in kinds_beside(own, needs, needed)} == read


def test_an_id_tells_its_kind_and_the_inventory_reads_none_of_them() -> None:
    assert [kind.type for kind in kinds_meant("snap-1")] == ["ec2:snapshot"]
    assert [kind.type for kind in kinds_meant("logs:log-group//a")] == ["logs:log-group"]
    assert kinds_meant("front") == list(ON_REQUEST)
    assert not set(INVENTORY) & set(ON_REQUEST)


def test_a_services_containers_log_to_their_group() -> None:
    options = {"awslogs-group": "/ecs/shop"}
    task = {"containerDefinitions": [{"logConfiguration": {"options": options}}]}
    drawn = graph(
        ecs_service=[{"serviceArn": "s", "Task": task}],
        logs_log_group=[{"logGroupName": "/ecs/shop"}],
    )
    assert [edge.relation for edge in drawn.depends_on[0]] == ["logs to"]


SHARED = [{"UserId": OTHER}]
PUBLIC = [{"Group": "all"}]


@pytest.mark.parametrize(
    ("permissions", "block", "public"),
    [
        ([], None, "no"),
        ([{"UserId": ME}], None, "no"),
        (SHARED, None, "other accounts"),
        (PUBLIC, "unblocked", "yes"),
        (PUBLIC, "block-new-sharing", "yes"),
        (PUBLIC, "block-all-sharing", "no"),
        (PUBLIC + SHARED, "block-all-sharing", "other accounts"),
    ],
)
def test_a_snapshot_is_public_unless_the_region_blocks_all_of_it(
    permissions: list[dict[str, str]], block: str | None, public: str
) -> None:
    assert judge_snapshot(ME, permissions, block)[0] == public


def test_an_image_may_be_shared_with_an_organization() -> None:
    arn = "arn:aws:organizations::1:organization/o-1"
    assert judge_shares(ME, is_for_all=False, others=[arn])[0] == "other accounts"


def method(authorization: str, *, key: bool = False, verb: str = "GET") -> dict[str, Any]:
    return {
        "path": "/x",
        "resourceMethods": {verb: {"authorizationType": authorization, "apiKeyRequired": key}},
    }


def policy(principal: Any) -> str:
    statement = {
        "Effect": "Allow", "Principal": principal, "Action": "execute-api:Invoke", "Resource": "*",
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


OPEN, STAGES = [method("NONE")], [{"stageName": "prod"}]


@pytest.mark.parametrize(
    ("api", "resources", "stages", "public"),
    [
        ({}, OPEN, STAGES, "yes"),
        ({}, OPEN, [], "no"),
        ({}, [method("NONE", key=True)], STAGES, "no"),
        ({}, [method("CUSTOM")], STAGES, "no"),
        ({}, [method("NONE", verb="OPTIONS"), method("AWS_IAM")], STAGES, "no"),
        ({}, [{"path": "/"}], STAGES, "no"),
        ({"endpointConfiguration": {"types": ["PRIVATE"]}}, OPEN, STAGES, "no"),
        ({"disableExecuteApiEndpoint": True}, OPEN, STAGES, "no"),
        ({"policy": policy("*")}, OPEN, STAGES, "yes"),
        ({"policy": policy({"AWS": OTHER})}, OPEN, STAGES, "other accounts"),
        ({"policy": json.dumps(policy({"AWS": OTHER}))[1:-1]}, OPEN, STAGES, "other accounts"),
    ],
)
def test_a_rest_api_is_public_where_a_deployed_method_asks_nobody(
    api: dict[str, Any], resources: list[dict[str, Any]], stages: list[Any], public: str
) -> None:
    assert judge_rest_api(api, resources, stages, ME)[0] == public


@pytest.mark.parametrize(
    ("api", "routes", "public"),
    [
        ({}, [{"RouteKey": "GET /"}], "yes"),
        ({}, [{"RouteKey": "GET /", "AuthorizationType": "JWT"}], "no"),
        ({"DisableExecuteApiEndpoint": True}, [{"RouteKey": "$default"}], "no"),
        ({"ProtocolType": "WEBSOCKET"},
         [{"RouteKey": "$connect", "AuthorizationType": "AWS_IAM"}, {"RouteKey": "say"}], "no"),
        ({"ProtocolType": "WEBSOCKET"}, [{"RouteKey": "$connect"}], "yes"),
        ({}, [], "no"),
    ],
)  # fmt: skip
def test_an_http_api_is_public_where_a_route_asks_nobody(
    api: dict[str, Any], routes: list[dict[str, Any]], public: str
) -> None:
    assert judge_api(api, routes, STAGES)[0] == public


def test_a_custom_domain_opens_an_api_whose_own_address_is_switched_off() -> None:
    public, because = judge_api(
        {"DisableExecuteApiEndpoint": True}, [{"RouteKey": "$default"}], STAGES, ["api.example.com"]
    )
    assert (public, "at api.example.com; its own address is switched off" in because) == (
        "yes", True,
    )  # fmt: skip


async def test_the_custom_domains_of_an_api_without_its_own_address_are_read(
    watched: Watched, served: dict[str, str], client_of: Any
) -> None:
    v2, v1 = client_of("apigatewayv2"), client_of("apigateway")
    v2.update_api(ApiId=served["api"], DisableExecuteApiEndpoint=True)
    asked = {"resource_id": f"apigatewayv2:api/{served['api']}"}
    told = await watched.call("explain_resource", **asked)
    assert (told["public"], "no custom domain" in told["public_because"]) == ("no", True)
    v2.create_domain_name(DomainName="api.example.com")
    v2.create_api_mapping(ApiId=served["api"], DomainName="api.example.com", Stage="$default")
    told = await watched.call("explain_resource", **asked)
    assert (told["public"], "at api.example.com" in told["public_because"]) == ("yes", True)
    watched.sessions.refused["GetApiMappings"] = 0
    told = await watched.call("explain_resource", **asked)
    assert (told["public"], "GetApiMappings" in told["public_because"]) == ("unknown", True)
    watched.sessions.refused.clear()

    root = v1.get_resources(restApiId=served["rest"])["items"][0]["id"]
    v1.put_method(
        restApiId=served["rest"], resourceId=root, httpMethod="POST", authorizationType="NONE"
    )
    switch = {"op": "replace", "path": "/disableExecuteApiEndpoint", "value": "True"}
    v1.update_rest_api(restApiId=served["rest"], patchOperations=[switch])
    v1.create_domain_name(domainName="edge.example.com", certificateName="c")
    v1.create_base_path_mapping(
        domainName="edge.example.com", restApiId=served["rest"], stage="prod"
    )
    told = await watched.call("explain_resource", resource_id=served["rest"])
    assert (told["public"], "at edge.example.com" in told["public_because"]) == ("yes", True)


SIGNED = {"TrustedKeyGroups": {"Enabled": True}}


@pytest.mark.parametrize(
    ("item", "public"),
    [
        ({"Enabled": False}, "no"),
        ({"Enabled": True, "DefaultCacheBehavior": {}}, "yes"),
        ({"Enabled": True, "DefaultCacheBehavior": SIGNED}, "no"),
        ({"Enabled": True, "DefaultCacheBehavior": SIGNED,
          "CacheBehaviors": {"Items": [{"PathPattern": "/open"}]}}, "yes"),
    ],
)  # fmt: skip
def test_a_distribution_is_public_unless_all_of_it_asks_for_signatures(
    item: dict[str, Any], public: str
) -> None:
    assert judge_distribution(item)[0] == public
    drawn = graph(cloudfront_distribution=[{"Id": "E1", **item}])
    assert exposure_of(drawn, 0)[0] == public


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("pictures.s3.eu-west-1.amazonaws.com", "pictures"),
        ("my.pictures.s3.amazonaws.com", "my.pictures"),
        ("pictures.s3-website-eu-west-1.amazonaws.com", "pictures"),
        ("pictures.s3.cn-north-1.amazonaws.com.cn", "pictures"),
        ("a1b2c3.execute-api.eu-west-1.amazonaws.com", "a1b2c3"),
        ("dualstack.lb-1.eu-west-1.elb.amazonaws.com", "lb-1.eu-west-1.elb.amazonaws.com"),
        ("www.example.com", "www.example.com"),
    ],
)
def test_an_origin_is_called_as_others_name_it(domain: str, name: str) -> None:
    assert origin_name(domain) == name


FUNCTION = f"arn:aws:lambda:{REGION}:{ME}:function:hello"
ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ME}"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{FUNCTION}/invocations",
         FUNCTION),
        (FUNCTION, FUNCTION),
        (f"{ELB}:listener/app/web/1/2", f"{ELB}:loadbalancer/app/web/1"),
        ("https://example.com/x", "https://example.com/x"),
    ],
)  # fmt: skip
def test_an_integration_is_told_by_its_function_or_load_balancer(uri: str, name: str) -> None:
    assert called(uri) == name


async def test_what_is_only_named_is_read_by_its_name_alone(
    watched: Watched, served: dict[str, str], client_of: Any
) -> None:
    for n in range(3):
        client_of("logs").create_log_group(logGroupName=f"/other/{n}")
    seen: list[dict[str, Any]] = []
    watched.sessions.open().session.events.register(
        "provide-client-params.logs.DescribeLogGroups", lambda params, **_: seen.append(params)
    )
    told = await watched.call("explain_resource", resource_id="hello")
    assert ("logs to", "logs:log-group", "/aws/lambda/hello") in links(told["depends_on"])
    assert [params["logGroupNamePrefix"] for params in seen] == ["/aws/lambda/hello"]
    got = await watched.call("get_resource", resource_id="/aws/lambda/hello")
    assert got["resource"]["id"] == "/aws/lambda/hello"
    assert {params["logGroupNamePrefix"] for params in seen} == {"/aws/lambda/hello"}


async def test_a_copy_or_api_named_by_its_id_is_read_alone(
    watched: Watched, disk: dict[str, str], served: dict[str, str]
) -> None:
    sent = watched.sessions.sent
    for asked, operation, others in (
        (disk["snapshot"], "ec2:DescribeSnapshots", "ec2:DescribeImages"),
        (f"apigatewayv2:api/{served['api']}", "apigatewayv2:GetApi", "apigatewayv2:GetApis"),
        (
            f"apigateway:rest-api/{served['rest']}",
            "apigateway:GetRestApi",
            "apigateway:GetRestApis",
        ),
    ):
        start = len(sent)
        got = await watched.call("get_resource", resource_id=asked)
        assert asked.endswith(got["resource"]["id"])
        assert operation in sent[start:]
        assert others not in sent[start:]
    said = await watched.refused("get_resource", resource_id="snap-00000000000000000")
    assert "No resource" in said


@pytest.mark.parametrize(
    ("own", "whole"),
    [
        ("lambda:function", {"apigateway:rest-api", "apigatewayv2:api", "cloudfront:distribution",
                             "lambda:layer"}),
        ("ec2:volume", {"ec2:snapshot"}),
        ("ec2:snapshot", {"ec2:snapshot", "ec2:image"}),
        ("ec2:instance", set()),
        ("ecs:service", set()),
    ],
)  # fmt: skip
def test_only_what_may_name_the_one_asked_about_is_read_whole(own: str, whole: set[str]) -> None:
    assert whole_kinds(own, kinds_beside(own, (), ())) == whole
