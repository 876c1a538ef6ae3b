"""What is exported: resources by their CloudFormation types, and how they refer to each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opswright_core.canonical import digest


@dataclass(frozen=True)
class Ref:
    """An attribute of another part, by the name its CloudFormation type gives it."""

    part: str
    attribute: str


@dataclass(frozen=True)
class Join:
    """Text made of constants and references."""

    parts: tuple["str | Ref", ...]
    separator: str = ""


@dataclass(frozen=True)
class PublicParameter:
    """The value of one of AWS's public SSM parameters, looked up when it is deployed."""

    name: str


@dataclass(frozen=True)
class Zone:
    """An availability zone by its name, which another region or account would choose anew."""

    name: str


@dataclass(frozen=True)
class Parameter:
    """A value that whoever deploys may give; None: has to be given."""

    name: str
    default: str | None
    is_secret: bool = False

    @property
    def key(self) -> str:
        """Its logical id: letters and digits, unlike those of resources."""
        words = "".join(c if c.isascii() and c.isalnum() else " " for c in self.name).split()
        whole = "Given" + "".join(word[:1].upper() + word[1:] for word in words)
        return whole if len(whole) <= 80 else whole[:70] + digest(self.name)[:10]


T = TypeVar("T")
Value = Any
"""JSON, or one of the above anywhere inside it."""


@dataclass(frozen=True)
class Part:
    """One resource; `properties` as its CloudFormation type names them."""

    key: str
    """Its logical id: letters and digits."""
    type: str
    properties: Mapping[str, Value]
    depends_on: tuple[str, ...] = ()
    holds_data: bool = False
    """Whether deleting it loses data, so that the deletion of the whole leaves it or a snapshot."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """What it has in the account, by attribute; empty where it is to be made."""
    unwritten: tuple[str, ...] = ()
    """Properties that it has there and that are told as left out."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Its tags where its CloudFormation type has no property for them."""


@dataclass
class Assembly:
    """What is exported together; a part comes after those it refers to."""

    name: str
    region: str
    parts: list[Part] = field(default_factory=list)
    outputs: dict[str, Value] = field(default_factory=dict)
    retains: bool = False
    """Whether deleting the whole leaves every resource."""


REF_GIVES = {
    "AWS::CertificateManager::Certificate": "CertificateArn",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "ServiceArn",
    "AWS::ECS::TaskDefinition": "TaskDefinitionArn",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::Route53::HostedZone": "Id",
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName",
    "AWS::EC2::EIP": "PublicIp",
    "AWS::EC2::Instance": "InstanceId",
    "AWS::EC2::InternetGateway": "InternetGatewayId",
    "AWS::EC2::LaunchTemplate": "LaunchTemplateId",
    "AWS::EC2::NatGateway": "NatGatewayId",
    "AWS::EC2::RouteTable": "RouteTableId",
    "AWS::EC2::SecurityGroup": "GroupId",
    "AWS::EC2::Subnet": "SubnetId",
    "AWS::EC2::VPC": "VpcId",
    "AWS::ElasticLoadBalancingV2::Listener": "ListenerArn",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "LoadBalancerArn",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "TargetGroupArn",
    "AWS::EC2::VPCEndpoint": "Id",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::Role": "RoleName",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::RDS::DBSubnetGroup": "DBSubnetGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicArn",
    "AWS::SQS::Queue": "QueueUrl",
}
"""What CloudFormation's Ref gives of a type, by attribute (resource reference, "Return values")."""

DOCUMENTS = frozenset(
    {"AssumeRolePolicyDocument", "FilterPolicy", "PolicyDocument", "RedrivePolicy"}
)
"""Properties that are JSON documents: their own keys are not CloudFormation's."""

NOTHING = {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"}
"""A rule that lets nothing through: an empty list would be EC2's own, which lets all out."""


def values_of(value: Value, kind: type[T]) -> Iterator[T]:
    """Every value of a kind inside another."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from values_of(inner, kind)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from values_of(inner, kind)


def references(value: Value) -> Iterator[Ref]:
    """Every reference inside a value."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Join):
        yield from (part for part in value.parts if isinstance(part, Ref))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references(inner)
