"""Settings beyond what the tools build, in the words that the provider's own schema takes."""

from pathlib import Path
from typing import Any

from tests.aws_devops.terraform import Terraform

from opswright_aws_devops.export.model import Assembly, Parameter, Part, Ref
from opswright_aws_devops.export.terraform.writing import as_configuration

ELB, ROUTE53 = "AWS::ElasticLoadBalancingV2", "AWS::Route53"
ALLOW = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}  # fmt: skip
ARN = "arn:aws:sns:eu-west-1:123456789012:news"
ROLE = "arn:aws:iam::123456789012:role/app"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
SECRET = Parameter("blog master password", None, is_secret=True)
FIXED = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"}

PARTS: list[tuple[str, dict[str, Any]]] = [
    ("AWS::EC2::VPCEndpoint", {
        "VpcId": "vpc-1", "ServiceName": "com.amazonaws.eu-west-1.s3", "VpcEndpointType": "Gateway",
        "RouteTableIds": ["rtb-1"], "PolicyDocument": ALLOW}),
    ("AWS::EC2::SecurityGroup", {
        "GroupName": "a", "GroupDescription": "a", "VpcId": "vpc-1",
        "SecurityGroupEgress": [
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
                "DestinationPrefixListId": "pl-1"},
            {"IpProtocol": "-1", "CidrIpv6": "::/0"}]}),
    ("AWS::EC2::SecurityGroupEgress", {
        "GroupId": "sg-1", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 2,
        "DestinationSecurityGroupId": "sg-2"}),
    ("AWS::EC2::LaunchTemplate", {"LaunchTemplateName": "blog", "LaunchTemplateData": {
        "ImageId": "ami-12345678", "InstanceType": "t3.micro", "KeyName": "k",
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/a"},
        "EbsOptimized": True, "Monitoring": {"Enabled": True},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False,
                               "Groups": ["sg-1"], "DeleteOnTermination": True}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {
            "VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "Iops": 3000,
            "Throughput": 125, "KmsKeyId": KEY, "DeleteOnTermination": True}}]}}),
    ("AWS::AutoScaling::ScalingPolicy", {
        "AutoScalingGroupName": "a", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {"TargetValue": 10, "CustomizedMetricSpecification": {
            "MetricName": "Depth", "Namespace": "Blog", "Statistic": "Average",
            "Dimensions": [{"Name": "queue", "Value": "jobs"}]}}}),
    ("AWS::AutoScaling::ScalingPolicy", {
        "AutoScalingGroupName": "a", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {"TargetValue": 100, "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/a/1/t/2"}}}),
    (f"{ELB}::TargetGroup", {
        "Name": "a", "Protocol": "HTTP", "ProtocolVersion": "GRPC", "Port": 80, "VpcId": "vpc-1",
        "TargetType": "ip", "Matcher": {"GrpcCode": "0-5"}, "HealthCheckPort": "81"}),
    (f"{ELB}::TargetGroup", {
        "Name": "b", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "TargetGroupAttributes": [
            {"Key": "deregistration_delay.timeout_seconds", "Value": "30"},
            {"Key": "slow_start.duration_seconds", "Value": "30"},
            {"Key": "load_balancing.algorithm.type", "Value": "least_outstanding_requests"},
            {"Key": "stickiness.enabled", "Value": "true"},
            {"Key": "stickiness.type", "Value": "lb_cookie"},
            {"Key": "stickiness.lb_cookie.duration_seconds", "Value": "60"}]}),
    ("AWS::AutoScaling::AutoScalingGroup", {
        "AutoScalingGroupName": "a", "MinSize": "1", "MaxSize": "2", "DesiredCapacity": "1",
        "VPCZoneIdentifier": ["subnet-1"], "NewInstancesProtectedFromScaleIn": True,
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
        "MetricsCollection": [{"Granularity": "1Minute", "Metrics": ["GroupTotalInstances"]}],
        "TerminationPolicies": ["OldestInstance"], "MaxInstanceLifetime": 604800}),
    (f"{ELB}::LoadBalancer", {
        "Name": "a", "Type": "application", "Scheme": "internal", "Subnets": ["subnet-1"],
        "LoadBalancerAttributes": [
            {"Key": "idle_timeout.timeout_seconds", "Value": "120"},
            {"Key": "deletion_protection.enabled", "Value": "true"},
            {"Key": "routing.http2.enabled", "Value": "false"},
            {"Key": "routing.http.preserve_host_header.enabled", "Value": "true"},
            {"Key": "client_keep_alive.seconds", "Value": "600"},
            {"Key": "routing.http.desync_mitigation_mode", "Value": "strictest"},
            {"Key": "waf.fail_open.enabled", "Value": "true"},
            {"Key": "routing.http.xff_header_processing.mode", "Value": "preserve"},
            {"Key": "routing.http.xff_client_port.enabled", "Value": "true"},
            {"Key": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
             "Value": "true"}]}),
    (f"{ELB}::Listener", {
        "LoadBalancerArn": ARN, "Port": 443, "Protocol": "HTTPS",
            "SslPolicy": "ELBSecurityPolicy-2016-08",
        "Certificates": [{"CertificateArn": ARN}],
        "DefaultActions": [{"Type": "forward", "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": ARN, "Weight": 9}, {"TargetGroupArn": ARN,
                "Weight": 1}],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}}]}),
    (f"{ELB}::Listener", {
        "LoadBalancerArn": ARN, "Port": 80, "Protocol": "HTTP", "DefaultActions": [
            {"Type": "redirect", "RedirectConfig": {
                "Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}]}),
    (f"{ELB}::Listener", {
        "LoadBalancerArn": ARN, "Port": 81, "Protocol": "HTTP",
        "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": FIXED}]}),
    ("AWS::Lambda::Function", {
        "FunctionName": "a", "Role": ROLE, "Handler": "app.handler", "Runtime": "python3.13",
        "Code": {"S3Bucket": Parameter("code bucket", None), "S3Key": "a.zip"},
        "Environment": {"Variables": {"TOKEN": SECRET}}, "Layers": [f"{ARN}:1"],
        "DeadLetterConfig": {"TargetArn": ARN}, "EphemeralStorage": {"Size": 1024},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": "/a"},
        "KmsKeyArn": KEY, "Architectures": ["arm64"]}),
    ("AWS::Lambda::Function", {
        "FunctionName": "b", "Role": ROLE, "PackageType": "Image",
        "ReservedConcurrentExecutions": 5,
        "Code": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/b:1"}}),
    ("AWS::ECS::Cluster", {
        "ClusterName": "a", "CapacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "DefaultCapacityProviderStrategy": [{"CapacityProvider": "FARGATE", "Weight": 1,
            "Base": 1}]}),
    ("AWS::ECS::TaskDefinition", {
        "Family": "a", "Cpu": "256", "Memory": "512", "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"], "TaskRoleArn": ROLE,
        "RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
        "EphemeralStorage": {"SizeInGiB": 40},
        "Volumes": [{"Name": "host", "Host": {"SourcePath": "/tmp"}},
                    {"Name": "plain", "Host": {}},
                    {"Name": "files", "EfsVolumeConfiguration": {
                        "FileSystemId": "fs-12345678", "RootDirectory": "/",
                        "TransitEncryption": "ENABLED",
                        "AuthorizationConfig": {"AccessPointId": "fsap-1", "Iam": "ENABLED"}}}],
        "ContainerDefinitions": [{"Name": "web", "Image": "web:1",
            "DockerLabels": {"Some.Label": "x"},
                                  "Environment": [{"Name": "TOKEN", "Value": SECRET}]}]}),
    ("AWS::ECS::Service", {
        "ServiceName": "a", "Cluster": ARN, "TaskDefinition": ARN, "DesiredCount": 2,
        "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
        "HealthCheckGracePeriodSeconds": 60, "EnableExecuteCommand": True,
            "PropagateTags": "SERVICE",
        "LoadBalancers": [{"TargetGroupArn": ARN, "ContainerName": "web", "ContainerPort": 80}],
        "DeploymentConfiguration": {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
                                    "MaximumPercent": 150, "MinimumHealthyPercent": 50}}),
    ("AWS::CloudWatch::Alarm", {
        "AlarmName": "a", "MetricName": "m", "Namespace": "n", "ExtendedStatistic": "p99",
        "EvaluateLowSampleCountPercentile": "ignore", "Period": 60, "EvaluationPeriods": 1,
        "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", "OKActions": [ARN],
        "ActionsEnabled": False, "InsufficientDataActions": [ARN]}),
    ("AWS::CloudWatch::Alarm", {
        "AlarmName": "b", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanUpperThreshold",
        "ThresholdMetricId": "band", "Metrics": [
            {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m, 2)", "ReturnData": True},
            {"Id": "m", "ReturnData": True, "MetricStat": {
                "Metric": {"Namespace": "n", "MetricName": "m",
                           "Dimensions": [{"Name": "d", "Value": "v"}]},
                "Period": 60, "Stat": "Average", "Unit": "Count"}}]}),
    (f"{ROUTE53}::HostedZone", {
        "Name": "in.example.", "HostedZoneConfig": {"Comment": "inside"},
        "VPCs": [{"VPCId": "vpc-1", "VPCRegion": "eu-west-1"}]}),
    (f"{ROUTE53}::RecordSet", {
        "HostedZoneId": "Z1", "Name": "a.example.", "Type": "A", "SetIdentifier": "one",
        "Failover": "PRIMARY", "HealthCheckId": "h", "AliasTarget": {
            "DNSName": "x.example.", "HostedZoneId": "Z2", "EvaluateTargetHealth": True}}),
    (f"{ROUTE53}::RecordSet", {
        "HostedZoneId": "Z1", "Name": "b.example.", "Type": "A", "SetIdentifier": "one",
            "TTL": "60",
        "MultiValueAnswer": True, "ResourceRecords": ["192.0.2.1"]}),
    (f"{ROUTE53}::RecordSet", {
        "HostedZoneId": "Z1", "Name": "c.example.", "Type": "A", "SetIdentifier": "one",
            "TTL": "60",
        "Region": "eu-west-1", "ResourceRecords": ["192.0.2.1"]}),
    ("AWS::CertificateManager::Certificate", {
        "DomainName": "a.example", "ValidationMethod": "DNS", "KeyAlgorithm": "EC_prime256v1"}),
    ("AWS::RDS::DBCluster", {
        "DBClusterIdentifier": "a", "Engine": "aurora-mysql", "MasterUsername": "admin",
        "MasterUserPassword": SECRET, "StorageEncrypted": True, "KmsKeyId": KEY, "Port": 3307,
        "EnableIAMDatabaseAuthentication": True, "EnableCloudwatchLogsExports": ["audit"],
        "PreferredBackupWindow": "01:00-02:00", "PreferredMaintenanceWindow": "mon:03:00-mon:04:00",
        "VpcSecurityGroupIds": ["sg-1"], "CopyTagsToSnapshot": True,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 2}}),
    ("AWS::RDS::DBInstance", {
        "DBInstanceIdentifier": "a-1", "DBInstanceClass": "db.serverless", "Engine": "aurora-mysql",
        "DBClusterIdentifier": "a", "PromotionTier": 1, "PubliclyAccessible": False,
        "AutoMinorVersionUpgrade": True}),
    ("AWS::RDS::DBInstance", {
        "DBInstanceIdentifier": "b", "Engine": "mysql", "EngineVersion": "8.4.5",
        "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": "20", "MasterUsername": "admin",
        "MasterUserPassword": SECRET, "EnableIAMDatabaseAuthentication": True, "KmsKeyId": KEY,
        "LicenseModel": "general-public-license", "StorageEncrypted": True,
        "MaxAllocatedStorage": 100, "MonitoringInterval": 60, "MonitoringRoleArn": ROLE,
        "EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 7,
        "EnableCloudwatchLogsExports": ["error"]}),
    ("AWS::DynamoDB::Table", {
        "TableName": "a", "BillingMode": "PROVISIONED", "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"},
                      {"AttributeName": "at", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "at",
            "by")],
        "LocalSecondaryIndexes": [{
            "IndexName": "l", "Projection": {"ProjectionType": "INCLUDE",
                "NonKeyAttributes": ["x"]},
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"},
                          {"AttributeName": "by", "KeyType": "RANGE"}]}],
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY},
        "DeletionProtectionEnabled": True}),
    ("AWS::S3::Bucket", {
        "BucketName": "a-b-c",
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True}]},
        "LifecycleConfiguration": {"Rules": [{
            "Id": "old", "Status": "Enabled", "Prefix": "logs/", "ExpirationInDays": 30,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}]}}),
    ("AWS::SQS::Queue", {
        "QueueName": "a.fifo", "FifoQueue": True, "ContentBasedDeduplication": True,
        "KmsMasterKeyId": KEY, "KmsDataKeyReusePeriodSeconds": 600, "DelaySeconds": 5,
        "MaximumMessageSize": 1024, "MessageRetentionPeriod": 60,
            "ReceiveMessageWaitTimeSeconds": 20}),
    ("AWS::SNS::Topic", {
        "TopicName": "a.fifo", "FifoTopic": True, "DisplayName": "a", "KmsMasterKeyId": KEY}),
    ("AWS::SNS::TopicPolicy", {"Topics": [ARN], "PolicyDocument": ALLOW}),
    ("AWS::SNS::Subscription", {
        "TopicArn": ARN, "Protocol": "sqs", "Endpoint": ARN, "RawMessageDelivery": True,
        "FilterPolicy": {"kind": ["a"]}}),
    ("AWS::Logs::LogGroup", {
        "LogGroupName": "/a", "LogGroupClass": "INFREQUENT_ACCESS", "KmsKeyId": KEY,
        "RetentionInDays": 7}),
    ("AWS::EC2::Instance", {
        "ImageId": "ami-12345678", "InstanceType": "t3.micro", "SubnetId": "subnet-1",
        "IamInstanceProfile": "a", "KeyName": "k", "EbsOptimized": True, "Monitoring": True,
        "SourceDestCheck": False, "DisableApiTermination": True,
        "MetadataOptions": {"HttpTokens": "required"}, "SecurityGroupIds": ["sg-1"]}),
    ("AWS::EC2::Subnet", {
        "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24", "MapPublicIpOnLaunch": True,
        "Ipv6CidrBlock": "2001:db8::/64", "AssignIpv6AddressOnCreation": True}),
    ("AWS::EC2::Route", {
        "RouteTableId": "rtb-1", "DestinationIpv6CidrBlock": "::/0",
        "EgressOnlyInternetGatewayId": "eigw-1"}),
    ("AWS::EC2::Route", {
        "RouteTableId": "rtb-1", "DestinationCidrBlock": "10.9.0.0/16",
            "TransitGatewayId": "tgw-1"}),
    ("AWS::EC2::Route", {
        "RouteTableId": "rtb-1", "DestinationCidrBlock": "10.8.0.0/16",
        "VpcPeeringConnectionId": "pcx-1"}),
]  # fmt: skip


def test_the_provider_takes_every_word_of_what_is_to_be_made_and_of_what_exists(
    tmp_path: Path,
) -> None:
    parts = [Part(f"P{number}", kind, own) for number, (kind, own) in enumerate(PARTS)]
    keys = {part.type: part.key for part in parts}
    told = ("Endpoint.Address", "Endpoint.Port", "MasterUserSecret.SecretArn")
    outputs = {
        f"{kind.rpartition('::')[2]}{number}": Ref(keys[kind], attribute)
        for kind, attributes in (
            ("AWS::DynamoDB::Table", ["Arn"]),
            ("AWS::RDS::DBCluster", [*told, "ReadEndpoint.Address"]),
            ("AWS::RDS::DBInstance", told),
            (f"{ELB}::LoadBalancer", ["DNSName"]),
        )
        for number, attribute in enumerate(attributes)
    }
    terraform = Terraform(tmp_path / "tf", "http://127.0.0.1:9")
    for retains in (False, True):
        made = Assembly("blog", "eu-west-1", parts, outputs, retains)
        terraform.main.write_text(as_configuration(made))
        assert terraform.run("fmt", "-check", "-diff") == ""
        if not retains:
            terraform.run("init", "-input=false")
        terraform.run("validate")
