"""How resources hang together: where a kind's description names another, and what that means.

Each relation reads "the source … the target" (`subnet-1` *routed by* `rtb-1`), and the source is
what suffers when the target goes.
"""

from dataclasses import dataclass

VPC, SUBNET, SG = "ec2:vpc", "ec2:subnet", "ec2:security-group"
ROLE, KEY, SECRET = "iam:role", "kms:key", "secretsmanager:secret"
QUEUE, TOPIC, TABLE, FUNCTION = "sqs:queue", "sns:topic", "dynamodb:table", "lambda:function"
GROUP, TARGETS, TEMPLATE = "autoscaling:group", "elb:targetgroup", "ec2:launch-template"
BALANCER, INSTANCE, ENI = "elb:loadbalancer", "ec2:instance", "ec2:network-interface"
NAT, IGW, TABLES, ENDPOINT = (
    "ec2:natgateway", "ec2:internet-gateway", "ec2:route-table", "ec2:vpc-endpoint",
)  # fmt: skip
DB, CLUSTER, SUBNETS = "rds:db", "rds:cluster", "rds:subnet-group"
SERVICE, BUCKET, REPOSITORY = "ecs:service", "s3:bucket", "ecr:repository"
VOLUME, SNAPSHOT, IMAGE, LAYER = "ec2:volume", "ec2:snapshot", "ec2:image", "lambda:layer"
DB_SNAPSHOT, CLUSTER_SNAPSHOT = "rds:snapshot", "rds:cluster-snapshot"
REST_API, API, DISTRIBUTION = "apigateway:rest-api", "apigatewayv2:api", "cloudfront:distribution"
LOG_GROUP, ZONE, CERTIFICATE = "logs:log-group", "route53:hosted-zone", "acm:certificate"


@dataclass(frozen=True)
class Relation:
    """`path` (JMESPath) leads, in a description of the kind, to ids, names or ARNs of targets.

    `targets` are the kinds that may be meant. `is_reversed`: the named one is the source.
    `is_loose`: neither suffers when the other goes, as a disk and the snapshot taken of it.
    """

    path: str
    name: str
    targets: tuple[str, ...]
    is_reversed: bool = False
    is_loose: bool = False


_ROWS: dict[str, list[tuple[str, ...]]] = {
    SUBNET: [("VpcId", "in", VPC)],
    IGW: [("Attachments[].VpcId", "attached to", VPC)],
    NAT: [
        ("SubnetId", "in", SUBNET),
        ("NatGatewayAddresses[].AllocationId", "has address", "ec2:elastic-ip"),
    ],
    TABLES: [
        ("VpcId", "in", VPC),
        ("Routes[].[GatewayId, NatGatewayId, InstanceId, NetworkInterfaceId][]", "routes to",
         IGW, NAT, ENDPOINT, INSTANCE, ENI),
        ("Associations[].SubnetId", "<routed by", SUBNET),
    ],
    SG: [
        ("VpcId", "in", VPC),
        ("IpPermissions[].UserIdGroupPairs[].GroupId", "admits", SG),
        ("IpPermissionsEgress[].UserIdGroupPairs[].GroupId", "lets out to", SG),
    ],
    "ec2:elastic-ip": [("InstanceId", "<has address", INSTANCE)],
    ENDPOINT: [
        ("VpcId", "in", VPC), ("SubnetIds", "in", SUBNET),
        ("Groups[].GroupId", "guarded by", SG), ("RouteTableIds", "reached by", TABLES),
    ],
    ENI: [
        ("SubnetId", "in", SUBNET), ("Groups[].GroupId", "guarded by", SG),
        ("Attachment.InstanceId", "<has interface", INSTANCE),
    ],
    "ec2:flow-log": [
        ("ResourceId", "watches", VPC, SUBNET, ENI),
        ("DeliverLogsPermissionArn", "acts as", ROLE),
        ("[LogDestination, LogGroupName]", "writes to", BUCKET, LOG_GROUP),
    ],
    BALANCER: [
        ("VpcId", "in", VPC), ("AvailabilityZones[].SubnetId", "in", SUBNET),
        ("SecurityGroups", "guarded by", SG),
        ("Listeners[].Certificates[].CertificateArn", "answers with", CERTIFICATE),
        ("Listeners[].DefaultActions[].ForwardConfig.TargetGroups[].TargetGroupArn",
         "forwards to", TARGETS),
        ("LogsTo", "logs to", BUCKET),
    ],
    TARGETS: [
        ("VpcId", "in", VPC), ("LoadBalancerArns", "<forwards to", BALANCER),
        ("Targets[].Target.Id", "sends to", INSTANCE, FUNCTION, BALANCER),
    ],
    ZONE: [("Aliases", "points to", BALANCER, DB, CLUSTER, BUCKET, DISTRIBUTION)],
    INSTANCE: [
        ("SubnetId", "in", SUBNET), ("SecurityGroups[].GroupId", "guarded by", SG),
        ("IamInstanceProfile.Arn", "acts as", ROLE),
        ("BlockDeviceMappings[].Ebs.VolumeId", "has volume", VOLUME),
        ("ImageId", "~started from", IMAGE),
    ],
    TEMPLATE: [
        ("Data[].IamInstanceProfile.[Arn, Name][]", "acts as", ROLE),
        ("Data[].SecurityGroupIds[]", "guarded by", SG),
        ("Data[].NetworkInterfaces[].Groups[]", "guarded by", SG),
        ("Data[].ImageId", "starts from", IMAGE),
    ],
    VOLUME: [("KmsKeyId", "encrypted with", KEY), ("SnapshotId", "~made from", SNAPSHOT)],
    SNAPSHOT: [("VolumeId", "~taken of", VOLUME), ("KmsKeyId", "encrypted with", KEY)],
    IMAGE: [("BlockDeviceMappings[].Ebs.SnapshotId", "made of", SNAPSHOT)],
    GROUP: [
        ("VPCZoneIdentifier", "in", SUBNET), ("TargetGroupARNs", "registers in", TARGETS),
        ("LaunchTemplate.LaunchTemplateId", "starts from", TEMPLATE),
        ("MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId",
         "starts from", TEMPLATE),
        ("Instances[].InstanceId", "<run by", INSTANCE),
    ],
    FUNCTION: [
        ("Role", "acts as", ROLE), ("VpcConfig.SubnetIds", "in", SUBNET),
        ("VpcConfig.SecurityGroupIds", "guarded by", SG),
        ("KMSKeyArn", "encrypted with", KEY),
        ("DeadLetterConfig.TargetArn", "fails over to", QUEUE, TOPIC),
        ("Sources", "started by", QUEUE, TABLE),
        ("Callers", "<may call", BUCKET, TOPIC, QUEUE, TARGETS, TABLE),
        ("LoggingConfig.LogGroup || join('', ['/aws/lambda/', FunctionName])", "logs to",
         LOG_GROUP),
        ("Layers[].Arn", "~runs with", LAYER),
    ],
    SERVICE: [
        ("clusterArn", "in", "ecs:cluster"),
        ("loadBalancers[].targetGroupArn", "registers in", TARGETS),
        ("networkConfiguration.awsvpcConfiguration.subnets", "in", SUBNET),
        ("networkConfiguration.awsvpcConfiguration.securityGroups", "guarded by", SG),
        ("Task.[taskRoleArn, executionRoleArn]", "acts as", ROLE),
        ("Task.containerDefinitions[].secrets[].valueFrom", "reads", SECRET, "ssm:parameter"),
        ("Repositories", "runs images of", REPOSITORY),
        ('Task.containerDefinitions[].logConfiguration.options."awslogs-group"', "logs to",
         LOG_GROUP),
    ],
    "eks:cluster": [
        ("roleArn", "acts as", ROLE), ("resourcesVpcConfig.vpcId", "in", VPC),
        ("resourcesVpcConfig.subnetIds", "in", SUBNET),
        ("resourcesVpcConfig.securityGroupIds", "guarded by", SG),
        ("encryptionConfig[].provider.keyArn", "encrypted with", KEY),
    ],
    REPOSITORY: [("encryptionConfiguration.kmsKey", "encrypted with", KEY)],
    DB: [
        ("DBSubnetGroup.DBSubnetGroupName", "in", SUBNETS),
        ("VpcSecurityGroups[].VpcSecurityGroupId", "guarded by", SG),
        ("KmsKeyId", "encrypted with", KEY),
        ("MasterUserSecret.SecretArn", "opened by", SECRET),
        ("DBClusterIdentifier", "in", CLUSTER),
        ("ReadReplicaSourceDBInstanceIdentifier", "replicates", DB),
    ],
    CLUSTER: [
        ("DBSubnetGroup", "in", SUBNETS),
        ("VpcSecurityGroups[].VpcSecurityGroupId", "guarded by", SG),
        ("KmsKeyId", "encrypted with", KEY),
        ("MasterUserSecret.SecretArn", "opened by", SECRET),
    ],
    DB_SNAPSHOT: [("DBInstanceIdentifier", "~taken of", DB), ("KmsKeyId", "encrypted with", KEY)],
    CLUSTER_SNAPSHOT: [
        ("DBClusterIdentifier", "~taken of", CLUSTER), ("KmsKeyId", "encrypted with", KEY),
    ],
    SUBNETS: [("Subnets[].SubnetIdentifier", "in", SUBNET)],
    TABLE: [("KmsKeyId", "encrypted with", KEY)],
    QUEUE: [
        ("DeadLetters", "fails over to", QUEUE), ("FailsHere", "<fails over to", QUEUE),
        ("KmsKeyId", "encrypted with", KEY), ("Callers", "<may send to", TOPIC, BUCKET),
    ],
    TOPIC: [
        ("Subscribers", "delivers to", QUEUE, FUNCTION), ("KmsKeyId", "encrypted with", KEY),
        ("Callers", "<may publish to", BUCKET, TOPIC),
    ],
    BUCKET: [
        ("Notified", "notifies", QUEUE, TOPIC, FUNCTION), ("Replicas", "replicates to", BUCKET),
        ("LogsTo", "logs to", BUCKET), ("KmsKeyId", "encrypted with", KEY),
    ],
    SECRET: [
        ("KmsKeyId", "encrypted with", KEY), ("RotationLambdaARN", "rotated by", FUNCTION),
    ],
    "ssm:parameter": [("KeyId", "encrypted with", KEY)],
    REST_API: [
        ("Integrations", "calls", FUNCTION, BALANCER),
        ("Stages[].accessLogSettings.destinationArn", "logs to", LOG_GROUP),
    ],
    API: [
        ("Integrations", "calls", FUNCTION, BALANCER),
        ("Stages[].AccessLogSettings.DestinationArn", "logs to", LOG_GROUP),
    ],
    DISTRIBUTION: [
        ("OriginNames", "fetches from", BUCKET, BALANCER, REST_API, API),
        ("ViewerCertificate.ACMCertificateArn", "answers with", CERTIFICATE),
    ],
    LOG_GROUP: [("kmsKeyId", "encrypted with", KEY)],
    "cloudformation:stack": [
        ("RoleARN", "acts as", ROLE), ("ParentId", "made by", "cloudformation:stack"),
    ],
    }  # fmt: skip
"""Path, name (`<`: the named one is the source; `~`: neither needs the other), targets."""

RELATIONS: dict[str, tuple[Relation, ...]] = {
    kind: tuple(
        Relation(
            path,
            name.lstrip("<~"),
            tuple(targets),
            is_reversed=name.startswith("<"),
            is_loose=name.startswith("~"),
        )
        for path, name, *targets in rows
    )
    for kind, rows in _ROWS.items()
}
"""By kind. `Listeners`, `Targets`, `Aliases`, `Data`, `Sources`, `Task`, `Repositories`,
`Subscribers`, `Integrations` and `Stages` are put into descriptions by `surroundings`, since other
calls tell them; `Notified`, `Replicas`, `LogsTo`, `DeadLetters`, `FailsHere`, `Callers` and the
keys of buckets, queues, topics and tables by `own_parts`, of the one resource asked about."""

ALSO_KNOWN_AS: dict[str, str] = {
    ROLE: "InstanceProfileList[].[Arn, InstanceProfileName][]",
    BALANCER: "[DNSName]",
    KEY: "[AliasName, AliasArn]",
    TEMPLATE: "[LaunchTemplateName]",
    DB: "[Endpoint.Address]",
    CLUSTER: "[Endpoint, ReaderEndpoint]",
    DISTRIBUTION: "[DomainName]",
}
"""Where a description has further names by which others name it."""
