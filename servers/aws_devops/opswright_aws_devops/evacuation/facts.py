"""What AWS's documentation says of each kind of resource when a region has to be left."""

from dataclasses import dataclass
from typing import Literal

Span = Literal["zonal", "regional", "global"]
Holds = Literal["data", "capacity", "configuration"]
_DOCS = "https://docs.aws.amazon.com/"


@dataclass(frozen=True)
class Fact:
    """One kind: where it lives, what of it has to move, in which phase and how."""

    type: str
    phase: int
    span: Span
    holds: Holds
    how: str
    source: str = ""

    @property
    def url(self) -> str:
        """The page of AWS's documentation that says so."""
        return f"{_DOCS}{self.source}" if self.source else ""


PHASES = {
    1: "keys and secrets",
    2: "network",
    3: "data",
    4: "images",
    5: "compute",
    6: "messaging and entry points",
    7: "cut-over",
}
"""The order: what the later ones need first; traffic last."""

FACTS = (
    Fact(
        "kms:key", 1, "regional", "data",
        "Replicate multi-Region keys; a single-Region key cannot leave: copies are encrypted anew.",
        "kms/latest/developerguide/multi-region-keys-overview.html",
    ),
    Fact(
        "secretsmanager:secret", 1, "regional", "data",
        "Replicate to the other region; on failover promote the replica.",
        "secretsmanager/latest/userguide/replicate-secrets.html",
    ),
    Fact(
        "ssm:parameter", 1, "regional", "data", "Not replicated by AWS: write them there again.",
        "systems-manager/latest/userguide/systems-manager-parameter-store.html",
    ),
    Fact(
        "ec2:vpc", 2, "regional", "configuration",
        "Build again with a range that overlaps no peer (create_network); subnets are zonal.",
        "vpc/latest/userguide/how-it-works.html",
    ),
    Fact(
        "rds:db", 3, "zonal", "data",
        "Promote a cross-region replica, or restore replicated backups or a copied snapshot.",
        "AmazonRDS/latest/UserGuide/USER_ReadRepl.XRgn.html",
    ),
    Fact(
        "rds:cluster", 3, "regional", "data",
        "Fail over an Aurora global database, or restore a copied cluster snapshot.",
        "AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html",
    ),
    Fact(
        "dynamodb:table", 3, "regional", "data",
        "Add a replica (global table): writable there, replicated within seconds as a rule.",
        "amazondynamodb/latest/developerguide/GlobalTables.html",
    ),
    Fact(
        "s3:bucket", 3, "regional", "data",
        "Replicate to a bucket there; objects older than the rule need S3 Batch Replication.",
        "AmazonS3/latest/userguide/replication.html",
    ),
    Fact(
        "efs:filesystem", 3, "regional", "data", "Replicate the file system; fail over to it.",
        "efs/latest/ug/efs-replication.html",
    ),
    Fact(
        "elasticache:replicationgroup", 3, "regional", "data",
        "Use a global datastore, restore a backup there, or start with an empty cache.",
        "AmazonElastiCache/latest/dg/Redis-Global-Datastore.html",
    ),
    Fact(
        "ec2:volume", 3, "zonal", "data",
        "Snapshot, copy the snapshot, create the volume from it in a zone there.",
        "ebs/latest/userguide/ebs-copy-snapshot.html",
    ),
    Fact(
        "ec2:image", 4, "regional", "data",
        "Copy the image; its id is another there, so launch templates change.",
        "AWSEC2/latest/UserGuide/CopyingAMIs.html",
    ),
    Fact(
        "ecr:repository", 4, "regional", "data",
        "Replicate the registry; images pushed before the rule are pushed again.",
        "AmazonECR/latest/userguide/replication.html",
    ),
    Fact(
        "ec2:instance", 5, "zonal", "capacity",
        "Launch there from copied images; quotas are per region (check_quota), types per zone.",
        "AWSEC2/latest/UserGuide/using-regions-availability-zones.html",
    ),
    Fact(
        "autoscaling:group", 5, "regional", "capacity",
        "Build again with the images' ids there, at the size that carries all traffic.",
        "autoscaling/ec2/userguide/what-is-amazon-ec2-auto-scaling.html",
    ),
    Fact(
        "lambda:function", 5, "regional", "configuration", "Deploy the code and its role there.",
        "lambda/latest/dg/welcome.html",
    ),
    Fact(
        "ecs:cluster", 5, "regional", "capacity", "Build clusters and services again.",
        "AmazonECS/latest/developerguide/Welcome.html",
    ),
    Fact(
        "sqs:queue", 6, "regional", "data",
        "Make again; messages are not replicated: drain before, or accept their loss.",
        "AWSSimpleQueueService/latest/SQSDeveloperGuide/welcome.html",
    ),
    Fact(
        "sns:topic", 6, "regional", "configuration",
        "Make again, with its subscriptions; e-mail addresses confirm anew.",
        "sns/latest/dg/welcome.html",
    ),
    Fact(
        "acm:certificate", 6, "regional", "configuration",
        "Request again there: a certificate does not leave its region.",
        "acm/latest/userguide/acm-regions.html",
    ),
    Fact(
        "elb:loadbalancer", 6, "regional", "configuration", "Build again, with its certificate.",
        "elasticloadbalancing/latest/application/introduction.html",
    ),
)  # fmt: skip

CUT_OVER = Fact(
    "route53, cloudfront, iam", 7, "global", "configuration",
    "They stay. Move traffic by health checks and failover records set up before: changes to "
    "Route 53, IAM and CloudFront themselves need us-east-1 to work.",
    "whitepapers/latest/aws-fault-isolation-boundaries/global-services.html",
)  # fmt: skip

NOT_LOOKED_AT = (
    "AWS Backup vaults and copies, Redshift, OpenSearch, FSx, MSK, DocumentDB, Neptune, Kinesis, "
    "EKS, Step Functions, log groups"
)
"""Kinds that hold data or capacity, too, and that this plan does not read."""
