"""What no call can mean: ids of nobody's, of other accounts and regions, and texts that inject."""

from typing import Any

OWN, OTHER = "123456789012", "210987654321"
NOWHERE = "12345678-1234-1234-1234-123456789012"
ELB = "arn:aws:elasticloadbalancing"
NO_VPC, NO_GROUP = "vpc-0123456789abcdef0", "sg-0123456789abcdef0"
NO_SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
HERE_ALONE = "in this account and region"
NO_NAME = "not a DNS name"

STRANGE: list[tuple[str, dict[str, Any], str]] = [
    ("create_function", {"queue_arn": f"arn:aws:sqs:us-east-1:{OWN}:jobs"}, "its own region"),
    ("create_function", {"dead_letter_arn": f"arn:aws:sns:us-east-1:{OTHER}:x"}, "its own region"),
    ("create_function", {"queue_arn": "jobs; rm -rf /"}, "no ARN of sqs"),
    ("create_container_service", {"image": "shop:1; rm -rf /"}, "is no image"),
    ("create_container_service", {"image": "shop:1\nUSER root"}, "is no image"),
    ("update_container_service", {"image": "$(id)"}, "is no image"),
    ("update_container_service", {"cluster": "nobodys"}, HERE_ALONE),
    (
        "create_container_service",
        {"listener_arn": f"{ELB}:us-east-1:{OWN}:listener/app/shop/1/2"}, HERE_ALONE,
    ),
    ("create_container_service", {"task_role_arn": f"arn:aws:iam::{OTHER}:role/x"}, HERE_ALONE),
    (
        "create_container_repository",
        {"kms_key_arn": f"arn:aws:kms:eu-west-1:{OTHER}:key/{NOWHERE}"}, HERE_ALONE,
    ),
    ("configure_bucket", {"kms_key": f"arn:aws:kms:us-east-1:{OWN}:key/{NOWHERE}"}, HERE_ALONE),
    ("configure_bucket", {"log_bucket": "somebody-elses"}, "create_bucket makes one"),
    (
        "set_listener_certificate",
        {"certificate_arn": f"arn:aws:acm:us-east-1:{OWN}:certificate/{NOWHERE}"}, HERE_ALONE,
    ),
    (
        "create_load_balancer",
        {"certificate_arn": f"arn:aws:acm:eu-west-1:{OTHER}:certificate/{NOWHERE}"}, HERE_ALONE,
    ),
    ("create_load_balancer", {"subnet_ids": NO_SUBNETS}, HERE_ALONE),
    ("create_load_balancer", {"vpc_id": NO_VPC}, "give its own"),
    ("create_load_balancer", {"subnet_ids": ["A_PRIVATE", "A_PRIVATE"]}, "give each once"),
    (
        "create_static_website",
        {
            "domain_names": ["www.shop.example"],
            "certificate_arn": f"arn:aws:acm:us-east-1:{OTHER}:certificate/{NOWHERE}",
        },
        "create_certificate says",
    ),
    (
        "create_web_tier",
        {"target_group_arn": f"{ELB}:us-east-1:{OWN}:targetgroup/shop/1234567890abcdef"},
        HERE_ALONE,
    ),
    ("create_instance", {"subnet_id": NO_SUBNETS[0]}, HERE_ALONE),
    ("create_database", {"security_group_ids": [NO_GROUP]}, HERE_ALONE),
    ("create_aurora_cluster", {"subnet_ids": NO_SUBNETS}, HERE_ALONE),
    ("create_aurora_reader", {"cluster_id": "nobodys"}, "list_resources"),
    ("restore_database", {"subnet_group": "nobodys"}, "give another"),
    ("restore_database", {"security_group_ids": [NO_GROUP]}, HERE_ALONE),
    ("create_private_api", {"vpc_endpoint_ids": ["vpce-0123456789abcdef0"]}, HERE_ALONE),
    ("create_api", {"function_name": "nobodys"}, HERE_ALONE),
    ("create_function_target", {"function_name": "nobodys"}, HERE_ALONE),
    (
        "create_function_target",
        {"listener_arn": f"{ELB}:us-east-1:{OWN}:listener/app/shop/1/2"}, HERE_ALONE,
    ),
    ("create_network_load_balancer", {"subnet_ids": NO_SUBNETS}, HERE_ALONE),
    ("create_topic", {"queue_arns": [f"arn:aws:sqs:us-east-1:{OWN}:jobs"]}, "create_queue makes"),
    ("create_flow_logs", {"bucket": "somebody-elses"}, HERE_ALONE),
    ("create_vpc_endpoints", {"services": ["nonsense"]}, "offers no endpoint"),
    ("create_network", {"cidr": "10.1.0.1/16"}, "10.1.0.0/16"),
    ("create_network", {"cidr": "10.1.0.0/28"}, "/24 or larger"),
    ("create_network", {"cidr": "224.0.0.0/16"}, "use a private range"),
    ("create_hosted_zone", {"name": "blog.example", "vpc_ids": [NO_VPC]}, HERE_ALONE),
    ("create_hosted_zone", {"name": "$(id).example"}, NO_NAME),
    ("set_dns_record", {"name": "www\n.shop.example"}, NO_NAME),
    ("set_dns_record", {"name": "www.elsewhere.example"}, "create_hosted_zone makes one"),
    ("create_certificate", {"domain_names": ["blog.shop.example\nx"]}, NO_NAME),
    ("deploy_website", {"folder": "../../../../etc"}, "no index.html"),
    ("create_health_check", {"endpoint": "169.254.169.254"}, "no public address"),
    ("create_service_role", {"boundary_arn": f"arn:aws:iam::{OTHER}:policy/x"}, HERE_ALONE),
    ("resize_instance", {"instance_id": "i-0123456789abcdef0"}, HERE_ALONE),
    ("update_database", {"db_instance_id": "nobodys"}, "list_resources"),
    ("set_scaling", {"asg_name": "a;b"}, "no auto-scaling group"),
    ("enable_ipv6", {"vpc_id": NO_VPC}, HERE_ALONE),
]  # fmt: skip
"""A tool, what is strange in what it is asked for, and what it has to say."""
