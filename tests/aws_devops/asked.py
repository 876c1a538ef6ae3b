"""What each tool is called with in one account with one of each thing: see `ground.lay`."""

from typing import Any

from tests.aws_devops.ground import IMAGE

TEMPLATE = '{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'
READS_ORDERS = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-files/*"]}]
RELEASED = IMAGE.replace("1.0", "1.1")
NIGHT = {"name": "night", "recurrence": "0 20 * * *", "min_size": 0, "desired": 0}

NO_CAPACITY = ("InsufficientInstanceCapacity", "We currently do not have sufficient capacity.", 500)
"""As EC2 answers it."""

READS: dict[str, dict[str, Any]] = {
    "list_resources": {},
    "get_resource": {"resource_id": "VPC"},
    "verify_high_availability": {"vpc_id": "VPC"},
    "check_reachability": {"source": "internet", "destination": "BALANCER", "port": 80},
    "draw_topology": {"vpc": "VPC"},
    "check_quota": {"build": {"vpcs": 1, "nat_gateways_per_zone": 1, "instances": 1}},
    "review_template": {"template": TEMPLATE, "stack": "shop"},
    "get_stack": {"name": "shop"},
    "find_drift": {},
    "read_aws": {"service": "ec2", "operation": "DescribeVpcs"},
    "explain_resource": {"resource_id": "BALANCER"},
    "check_session_access": {"vpc_id": "VPC"},
    "draw_stack": {"name": "shop"},
    "export_resources": {"vpc_id": "VPC"},
    "preview_teardown": {"application": "shop"},
    "plan_evacuation": {"to_region": "eu-central-1"},
    "preview_undo": {"last": 1},
    "check_backend": {"fresh": True},
}  # fmt: skip
OFFLINE = {"find_operation", "describe_operation", "export_application", "review_terraform_plan"}
"""They ask AWS nothing."""

OF_MANY = {
    "list_resources", "get_resource", "explain_resource", "export_resources", "plan_evacuation",
    "preview_teardown", "draw_topology", "check_backend", "find_drift",
}  # fmt: skip
"""They read many services, each for itself: what is refused at once must be named at once."""

CHANGES: dict[str, dict[str, Any]] = {
    "create_network": {"name": "blog", "nat": "single", "cidr": "10.1.0.0/16"},
    "create_security_groups": {"name": "blog", "vpc_id": "VPC"},
    "create_vpc_endpoints": {"name": "blog", "vpc_id": "VPC", "services": ["s3", "ssm"]},
    "enable_ipv6": {"vpc_id": "VPC"},
    "create_flow_logs": {"name": "blog", "vpc_id": "VPC"},
    "create_database": {"name": "blog", "subnet_ids": "DATA", "security_group_ids": ["DATA_SG"]},
    "create_aurora_cluster": {
        "name": "blog-#", "subnet_ids": "DATA", "security_group_ids": ["DATA_SG"],
        "final_snapshot": False,
    },
    "create_aurora_reader": {"name": "reader-#", "cluster_id": "orders"},
    "restore_database": {"name": "copy-#", "source_id": "orders", "final_snapshot": False},
    "update_database": {"db_instance_id": "shop", "multi_az": True},
    "create_load_balancer": {
        "name": "blog", "vpc_id": "VPC", "subnet_ids": "PUBLIC",
        "security_group_ids": ["FRONT_SG"],
    },
    "create_network_load_balancer": {
        "name": "blog", "subnet_ids": "PUBLIC", "security_group_ids": ["FRONT_SG"],
    },
    "set_listener_certificate": {"listener_arn": "ENCRYPTED", "certificate_arn": "CERTIFICATE"},
    "create_web_tier": {
        "name": "blog", "subnet_ids": "PRIVATE", "security_group_ids": ["APP_SG"],
        "target_group_arn": "TARGETS",
    },
    "create_instance": {
        "name": "blog", "subnet_id": "A_PRIVATE", "security_group_ids": ["APP_SG"],
    },
    "create_launch_template": {"name": "blog", "security_group_ids": ["APP_SG"]},
    "resize_instance": {"instance_id": "SERVER", "instance_type": "t3.large"},
    "set_scaling": {"asg_name": "shop", "cpu_percent": 50, "scheduled": [NIGHT]},
    "update_auto_scaling_group": {
        "asg_name": "shop", "instance_type": "t3.large", "max_size": 6, "refresh": False,
    },
    "create_bucket": {"name": "blog-files"},
    "configure_bucket": {
        "bucket": "shop-files", "ia_after_days": 30, "log_bucket": "shop-logs", "kms_key": "KEY",
        "versioned": True, "block_public_access": True, "noncurrent_days": 30,
    },
    "create_static_website": {"name": "blog-site"},
    "deploy_website": {"folder": "SITE", "bucket": "shop-site"},
    "create_certificate": {"name": "blog", "domain_names": ["blog.shop.example"]},
    "create_hosted_zone": {"name": "blog.example"},
    "create_health_check": {"name": "blog", "endpoint": "blog.example.com"},
    "set_dns_record": {"name": "www.shop.example", "values": ["192.0.2.1"]},
    "create_queue": {"name": "blog"},
    "configure_queue": {"queue": "jobs", "retention_days": 2, "max_receives": 3},
    "create_topic": {"name": "blog", "queue_arns": ["QUEUE"]},
    "create_container_repository": {"name": "blog"},
    "create_service_role": {
        "name": "blog", "service": "ecs-tasks", "statements": READS_ORDERS,
    },
    "create_container_service": {
        "name": "blog", "image": IMAGE, "subnet_ids": "PRIVATE",
        "security_group_ids": ["APP_SG"], "listener_arn": "LISTENER", "max_count": 4,
    },
    "update_container_service": {
        "cluster": "shop", "service": "shop", "image": RELEASED,
    },
    "create_function": {
        "name": "blog", "code": "CODE", "runtime": "python3.13", "handler": "app.handler",
        "queue_arn": "QUEUE", "schedule": "rate(5 minutes)", "function_url": True,
        "reserved_concurrency": 5,
    },
    "update_function": {"function": "hello", "timeout_seconds": 60, "alias": "live"},
    "create_function_target": {
        "name": "blog", "function_name": "hello", "listener_arn": "LISTENER", "path": "/hello",
    },
    "create_api": {
        "name": "blog", "function_name": "hello", "jwt_issuer": "https://login.example.com",
        "jwt_audience": ["shop"],
    },
    "create_private_api": {
        "name": "blog", "function_name": "hello", "vpc_endpoint_ids": ["ENDPOINT"],
    },
    "change_aws": {
        "service": "iam", "operation": "CreateUser", "parameters": {"UserName": "blog-#"},
    },
}  # fmt: skip

PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "create_network": (("ec2:vpc", "blog"),),
    "create_security_groups": (
        ("ec2:security-group", "blog-lb"), ("ec2:security-group", "blog-app"),
        ("ec2:security-group", "blog-db"),
    ),
    "create_vpc_endpoints": (("ec2:security-group", "blog-endpoints"),),
    "create_flow_logs": (
        ("iam:role", "blog-flow-logs"), ("logs:log-group", "/opswright/flow-logs/blog"),
    ),
    "create_database": (("rds:db", "blog"), ("rds:subgrp", "blog")),
    "create_aurora_cluster": (
        ("rds:cluster", "blog-#"), ("rds:db", "blog-#-1"), ("rds:db", "blog-#-2"),
        ("rds:subgrp", "blog-#"),
    ),
    "create_aurora_reader": (("rds:db", "reader-#"),),
    "restore_database": (("rds:cluster", "copy-#"), ("rds:db", "copy-#-1")),
    "create_load_balancer": (("elb:loadbalancer", "blog"), ("elb:targetgroup", "blog")),
    "create_network_load_balancer": (
        ("elb:loadbalancer", "blog"), ("elb:targetgroup", "blog"),
    ),
    "create_web_tier": (
        ("autoscaling:group", "blog"), ("ec2:launch-template", "blog"),
        ("iam:instance-profile", "blog"), ("iam:role", "blog"),
    ),
    "create_instance": (("iam:instance-profile", "blog"), ("iam:role", "blog")),
    "create_launch_template": (
        ("iam:instance-profile", "blog"), ("iam:role", "blog"), ("ec2:launch-template", "blog"),
    ),
    "create_bucket": (("s3:bucket", "blog-files"),),
    "create_static_website": (
        ("cloudfront:origin-access-control", "blog-site"), ("s3:bucket", "blog-site"),
    ),
    "create_hosted_zone": (("route53:hostedzone", "blog.example"),),
    "create_queue": (("sqs:queue", "blog"), ("sqs:queue", "blog-dead-letters")),
    "create_topic": (("sns:topic", "blog"),),
    "create_container_repository": (("ecr:repository", "blog"),),
    "create_service_role": (("iam:role", "blog"),),
    "create_container_service": (
        ("ecs:cluster", "blog"), ("elb:targetgroup", "blog-tasks"),
        ("iam:role", "blog-execution"), ("logs:log-group", "/ecs/blog"),
    ),
    "create_function": (
        ("events:rule", "blog"), ("iam:role", "blog"), ("lambda:function", "blog"),
        ("logs:log-group", "/aws/lambda/blog"),
    ),
    "create_function_target": (("elb:targetgroup", "blog-function"),),
    "create_api": (
        ("apigateway:http-api", "blog"), ("logs:log-group", "/aws/apigateway/blog"),
    ),
    "create_private_api": (("apigateway:rest-api", "blog"),),
}  # fmt: skip
"""What each makes under a name that somebody else may have: see test_taken_names.py."""

LACKING: list[tuple[str, str, tuple[str, str, int], str]] = [
    ("create_instance", "ec2:RunInstances", NO_CAPACITY, "another availability zone"),
    ("resize_instance", "ec2:StartInstances", NO_CAPACITY, "another availability zone"),
    ("create_network", "ec2:CreateVpc", ("VpcLimitExceeded", "5 of 5", 400), "Service Quotas"),
    (
        "create_network", "ec2:AllocateAddress", ("AddressLimitExceeded", "5 of 5", 400),
        "Service Quotas",
    ),
    (
        "create_database", "rds:CreateDBInstance",
        ("InsufficientDBInstanceCapacity", "none in eu-west-1a", 400), "another availability zone",
    ),
    (
        "create_container_repository", "ecr:CreateRepository",
        ("LimitExceededException", "too many", 400), "Service Quotas",
    ),
]  # fmt: skip
"""What AWS may lack: the tool, the operation and how it is answered, and what is to be said."""
