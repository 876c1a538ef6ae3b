"""What people made by hand: functions, containers, tables, names, queues, alarms, a server."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

TAGS = {"app": "blog"}
PAIRS = [{"Key": "app", "Value": "blog"}]
SECRET = "hunter2-never-written"


def lay_messaging(
    client_of: Callable[[str], Any], vpc_id: str, subnet_ids: list[str], group_ids: list[str]
) -> list[str]:
    """Queues, a topic, a server, an endpoint and two groups; the names or ids to export."""
    ec2 = client_of("ec2")
    groups = _groups(ec2, vpc_id)
    topic = client_of("sns").create_topic(Name="blog-news", Tags=PAIRS)["TopicArn"]
    _queues(client_of("sqs"), client_of("sns"), topic)
    server = ec2.run_instances(
        ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=1, MaxCount=1,
        SubnetId=subnet_ids[0], SecurityGroupIds=group_ids,
        TagSpecifications=[{"ResourceType": "instance", "Tags": PAIRS}],
        MetadataOptions={"HttpTokens": "required"},
    )["Instances"][0]["InstanceId"]  # fmt: skip
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc_id, ServiceName="com.amazonaws.eu-west-1.sqs", VpcEndpointType="Interface",
        SubnetIds=subnet_ids, SecurityGroupIds=group_ids, PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    return [topic, "blog-dead", "blog-jobs", server, endpoint, *groups]


def lay_services(
    client_of: Callable[[str], Any], vpc_id: str, subnet_ids: list[str], group_ids: list[str]
) -> list[str]:
    """One of each kind; the names or ids that an export takes."""
    named = lay_messaging(client_of, vpc_id, subnet_ids, group_ids)
    role = _role(client_of("iam"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", "def handler(event, context):\n    return {}\n")
    client_of("lambda").create_function(
        FunctionName="blog-resize", Runtime="python3.13", Role=role, Handler="app.handler",
        Code={"ZipFile": packed.getvalue()}, MemorySize=256, Timeout=30,
        Environment={"Variables": {"TOKEN": SECRET}}, Tags=TAGS,
        VpcConfig={"SubnetIds": subnet_ids, "SecurityGroupIds": group_ids},
        TracingConfig={"Mode": "Active"},
    )  # fmt: skip
    client_of("logs").create_log_group(logGroupName="/blog/web", tags=TAGS)
    client_of("logs").put_retention_policy(logGroupName="/blog/web", retentionInDays=30)
    _alarms(client_of("cloudwatch"), named[0])
    _tables(client_of("dynamodb"))
    _cluster(client_of("rds"), subnet_ids, group_ids)
    _containers(client_of("ecs"), role, subnet_ids, group_ids)
    zone = _zone(client_of("route53"))
    certificate = client_of("acm").request_certificate(
        DomainName="blog.example", SubjectAlternativeNames=["www.blog.example"],
        ValidationMethod="DNS", Tags=PAIRS,
    )["CertificateArn"]  # fmt: skip
    return [
        *named, "blog-resize", "blog-service", "/blog/web", "blog-errors", "blog-share",
        "blog-carts", "blog-orders", "blog", "blog-1", "blog-cluster", "blog-web", zone,
        certificate,
    ]  # fmt: skip


def _role(iam: Any) -> str:
    services = ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]
    allow = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    made = iam.create_role(RoleName="blog-service", AssumeRolePolicyDocument=document)
    arn: str = made["Role"]["Arn"]
    return arn


def _groups(ec2: Any, vpc_id: str) -> list[str]:
    """Two that let each other in."""
    ids = [
        ec2.create_security_group(GroupName=f"blog-{name}", Description=name, VpcId=vpc_id)[
            "GroupId"
        ]
        for name in ("one", "two")
    ]
    for group, other in (ids, ids[::-1]):
        pair = {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9,
                "UserIdGroupPairs": [{"GroupId": other}]}  # fmt: skip
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[pair])
    return ids


def _queues(sqs: Any, sns: Any, topic: str) -> None:
    dead = sqs.create_queue(QueueName="blog-dead", tags=TAGS)["QueueUrl"]
    asked = {"QueueUrl": dead, "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**asked)["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}, separators=(",", ":"))
    sqs.create_queue(
        QueueName="blog-jobs", tags=TAGS,
        Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "180"},
    )  # fmt: skip
    may_send = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage", "Resource": arn}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def _alarms(cloudwatch: Any, topic: str) -> None:
    lambdas = {"Namespace": "AWS/Lambda",
               "Dimensions": [{"Name": "FunctionName", "Value": "blog-resize"}]}  # fmt: skip
    cloudwatch.put_metric_alarm(
        AlarmName="blog-errors", **lambdas, MetricName="Errors", Statistic="Sum", Period=60,
        EvaluationPeriods=3, DatapointsToAlarm=2, Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic],
        TreatMissingData="notBreaching", Tags=PAIRS,
    )  # fmt: skip
    of = [
        {"Id": key, "ReturnData": False,
         "MetricStat": {"Metric": {**lambdas, "MetricName": name}, "Period": 60, "Stat": "Sum"}}
        for key, name in (("errors", "Errors"), ("calls", "Invocations"))
    ]  # fmt: skip
    share = {"Id": "share", "Expression": "errors / calls", "Label": "share", "ReturnData": True}
    cloudwatch.put_metric_alarm(
        AlarmName="blog-share", Metrics=[share, *of], EvaluationPeriods=1, Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip


def _tables(dynamodb: Any) -> None:
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    dynamodb.create_table(
        TableName="blog-carts", BillingMode="PAY_PER_REQUEST", KeySchema=key, Tags=PAIRS,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    dynamodb.update_time_to_live(
        TableName="blog-carts", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    few = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}
    dynamodb.create_table(
        TableName="blog-orders", ProvisionedThroughput=few,
        KeySchema=[*key, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("id", "at", "who")
        ],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-who", "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": few,
        }],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    dynamodb.update_continuous_backups(
        TableName="blog-orders",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )


def _cluster(rds: Any, subnet_ids: list[str], group_ids: list[str]) -> None:
    rds.create_db_subnet_group(
        DBSubnetGroupName="blog", DBSubnetGroupDescription="blog", SubnetIds=subnet_ids
    )
    rds.create_db_cluster(
        DBClusterIdentifier="blog", Engine="aurora-postgresql", EngineVersion="16.4",
        MasterUsername="dbadmin", MasterUserPassword=SECRET, StorageEncrypted=True,
        DBSubnetGroupName="blog", VpcSecurityGroupIds=group_ids, BackupRetentionPeriod=7,
        DeletionProtection=True, DatabaseName="app", Tags=PAIRS,
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
    )  # fmt: skip
    rds.create_db_instance(
        DBInstanceIdentifier="blog-1", DBClusterIdentifier="blog", Engine="aurora-postgresql",
        DBInstanceClass="db.serverless",
    )  # fmt: skip


def _containers(ecs: Any, role: str, subnet_ids: list[str], group_ids: list[str]) -> None:
    tags = [{"key": key, "value": value} for key, value in TAGS.items()]
    ecs.create_cluster(
        clusterName="blog-cluster", tags=tags,
        settings=[{"name": "containerInsights", "value": "enabled"}],
    )  # fmt: skip
    ecs.register_task_definition(
        family="blog-web", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256",
        memory="512", executionRoleArn=role, tags=tags,
        containerDefinitions=[{
            "name": "web", "image": "public.ecr.aws/nginx/nginx:1.29", "essential": True,
            "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
            "environment": [{"name": "TOKEN", "value": SECRET}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/blog/web", "awslogs-region": "eu-west-1",
                "awslogs-stream-prefix": "web"}},
        }],
    )  # fmt: skip
    ecs.create_service(
        cluster="blog-cluster", serviceName="blog-web", taskDefinition="blog-web", desiredCount=2,
        launchType="FARGATE", tags=tags,
        networkConfiguration={"awsvpcConfiguration": {
            "subnets": subnet_ids, "securityGroups": group_ids, "assignPublicIp": "DISABLED"}},
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True},
                                 "maximumPercent": 200, "minimumHealthyPercent": 100},
    )  # fmt: skip


def _zone(route53: Any) -> str:
    made = route53.create_hosted_zone(Name="blog.example", CallerReference="blog")
    zone_id: str = made["HostedZone"]["Id"].rpartition("/")[2]
    plain = {"Name": "www.blog.example", "Type": "A", "TTL": 300,
             "ResourceRecords": [{"Value": "192.0.2.1"}]}  # fmt: skip
    alias = {"Name": "blog.example", "Type": "A", "AliasTarget": {
        "DNSName": "d111111abcdef8.cloudfront.net", "HostedZoneId": "Z2FDTNDATAQYW2",
        "EvaluateTargetHealth": False}}  # fmt: skip
    weighted = {"Name": "a.blog.example", "Type": "CNAME", "TTL": 60, "SetIdentifier": "blue",
                "Weight": 90, "ResourceRecords": [{"Value": "blue.example."}]}  # fmt: skip
    text = {"Name": "blog.example", "Type": "TXT", "TTL": 60,
            "ResourceRecords": [{"Value": '"v=spf1 -all"'}, {"Value": '"key=a;b"'}]}  # fmt: skip
    route53.change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [
            {"Action": "CREATE", "ResourceRecordSet": record}
            for record in (plain, alias, weighted, text)
        ]},
    )  # fmt: skip
    return zone_id
