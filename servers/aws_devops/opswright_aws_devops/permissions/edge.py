"""What the tools for names, certificates and websites need, with what their inverses need."""

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
}
