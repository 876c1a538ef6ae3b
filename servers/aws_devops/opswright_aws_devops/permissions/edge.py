"""What the tools for names, certificates and websites need, with what their inverses need."""

from opswright_aws_devops.permissions import building

_RECORDS = (
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "set_dns_record": (
        *_RECORDS,
        "cloudfront:ListDistributions",
        "elasticloadbalancing:DescribeLoadBalancers",
    ),
    "create_hosted_zone": (
        "ec2:DescribeVpcs",
        "route53:AssociateVPCWithHostedZone",
        "route53:ChangeTagsForResource",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
        "route53:GetChange",
        "route53:GetHostedZone",
        "route53:ListHostedZones",
    ),
    "create_health_check": (
        "route53:ChangeTagsForResource",
        "route53:CreateHealthCheck",
        "route53:DeleteHealthCheck",
        "route53:GetHealthCheck",
        "route53:ListHealthChecks",
    ),
    "create_certificate": (
        *_RECORDS,
        "acm:AddTagsToCertificate",
        "acm:DeleteCertificate",
        "acm:DescribeCertificate",
        "acm:ListCertificates",
        "acm:ListTagsForCertificate",
        "acm:RequestCertificate",
    ),
    "create_static_website": (
        *building.PERMISSIONS["create_bucket"],
        "acm:DescribeCertificate",
        "cloudfront:CreateDistribution",
        "cloudfront:CreateOriginAccessControl",
        "cloudfront:DeleteDistribution",
        "cloudfront:DeleteOriginAccessControl",
        "cloudfront:GetDistribution",
        "cloudfront:GetOriginAccessControl",
        "cloudfront:ListDistributions",
        "cloudfront:ListOriginAccessControls",
        "cloudfront:TagResource",
        "cloudfront:UpdateDistribution",
    ),
    "deploy_website": (
        "cloudfront:CreateInvalidation",
        "cloudfront:GetDistribution",
        "s3:DeleteObject",
        "s3:GetBucketVersioning",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:PutObject",
    ),
}
