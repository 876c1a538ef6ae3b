"""The aws_devops server: its table of contents."""

from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_aws_devops.access.queue_policies import REMOVE_STATEMENT, StatementUndo
from opswright_aws_devops.api import policy
from opswright_aws_devops.buckets.lifecycle import RESTORE_RULE, RuleUndo
from opswright_aws_devops.buckets.policies import REMOVE_BUCKET_STATEMENT, BucketStatementUndo
from opswright_aws_devops.cloudformation.recreation import CREATE_AGAIN, StackRecreation
from opswright_aws_devops.cloudformation.stacks import RETURN_STACK
from opswright_aws_devops.cloudformation.undo import StackUndo
from opswright_aws_devops.dns.records import RESTORE_RECORD, RecordUndo
from opswright_aws_devops.functions.releases import RETURN_FUNCTION, FunctionUndo
from opswright_aws_devops.instances.group_releases import RETURN_TEMPLATE, TemplateUndo
from opswright_aws_devops.instances.types import RETURN_TYPE, TypeUndo
from opswright_aws_devops.networking.leaving import LEAVE_VPC, VpcUndo
from opswright_aws_devops.permissions import PERMISSIONS
from opswright_aws_devops.skills import (
    access,
    building,
    coding,
    environments,
    hosting,
    inspection,
    leaving,
    messaging,
    removal,
    restoring,
    running,
)
from opswright_aws_devops.tools import (
    aurora,
    availability,
    backend,
    bucket_options,
    buckets,
    calls,
    certificates,
    container_repositories,
    container_services,
    container_updates,
    database_updates,
    databases,
    dns_records,
    drift,
    endpoints,
    evacuation,
    explanation,
    exports,
    flow_logs,
    function_targets,
    function_updates,
    functions,
    group_updates,
    health_checks,
    hosted_zones,
    http_apis,
    instances,
    inventory,
    ipv6,
    launch_templates,
    listener_certificates,
    load_balancers,
    network,
    network_load_balancers,
    operations,
    private_apis,
    queue_settings,
    queues,
    quotas,
    reachability,
    resizing,
    restore,
    reviews,
    scaling,
    security_groups,
    service_roles,
    session_access,
    stacks,
    teardown,
    topics,
    topology,
    web_tier,
    website_files,
    websites,
)
from opswright_aws_devops.website.distribution import REMOVE, CloudFrontUndo
from opswright_aws_devops.website.objects import RESTORE_OBJECT, ObjectUndo
from opswright_core import undo_preview
from opswright_core.server import build_server
from opswright_core.settings import Settings

PLAYBOOK = Path(__file__).with_name("playbook.md")


def create_server(settings: Settings) -> FastMCP[Any]:
    """Build the server. Raises BadInputError for a policy file that cannot be used."""
    server = build_server(
        "aws_devops",
        title="AWS infrastructure",
        instructions=PLAYBOOK.read_text(encoding="utf-8"),
        tools=[
            inventory.list_resources,
            inventory.get_resource,
            availability.verify_high_availability,
            reachability.check_reachability,
            topology.draw_topology,
            explanation.explain_resource,
            session_access.check_session_access,
            endpoints.create_vpc_endpoints,
            ipv6.enable_ipv6,
            flow_logs.create_flow_logs,
            network_load_balancers.create_network_load_balancer,
            stacks.get_stack,
            stacks.find_stack_drift,
            stacks.draw_stack,
            stacks.deploy_stack,
            stacks.import_resources,
            stacks.delete_stack,
            exports.export_application,
            exports.export_resources,
            reviews.review_template,
            reviews.review_terraform_plan,
            network.create_network,
            security_groups.create_security_groups,
            databases.create_database,
            aurora.create_aurora_cluster,
            restore.restore_database,
            database_updates.update_database,
            load_balancers.create_load_balancer,
            web_tier.create_web_tier,
            instances.create_instance,
            launch_templates.create_launch_template,
            scaling.set_scaling,
            resizing.resize_instance,
            group_updates.update_auto_scaling_group,
            buckets.create_bucket,
            bucket_options.configure_bucket,
            dns_records.set_dns_record,
            hosted_zones.create_hosted_zone,
            health_checks.create_health_check,
            certificates.create_certificate,
            listener_certificates.set_listener_certificate,
            websites.create_static_website,
            website_files.deploy_website,
            queues.create_queue,
            queue_settings.configure_queue,
            topics.create_topic,
            operations.find_operation,
            operations.describe_operation,
            calls.read_aws,
            calls.change_aws,
            quotas.check_quota,
            backend.check_backend,
            teardown.preview_teardown,
            evacuation.plan_evacuation,
            drift.find_drift,
            container_repositories.create_container_repository,
            service_roles.create_service_role,
            container_services.create_container_service,
            functions.create_function,
            container_updates.update_container_service,
            function_updates.update_function,
            function_targets.create_function_target,
            http_apis.create_api,
            private_apis.create_private_api,
            undo_preview.preview_undo,
        ],
        settings=settings,
        permissions=PERMISSIONS,
        examinations=[backend.examine_backend],
        skills=[
            inspection.list_infrastructure,
            inspection.check_high_availability,
            inspection.explain_infrastructure,
            building.create_encrypted_bucket,
            building.build_network,
            environments.build_environments,
            building.build_three_tier,
            coding.write_infrastructure_code,
            coding.export_vpc_as_code,
            messaging.create_message_queue,
            removal.tear_down_application,
            leaving.plan_region_evacuation,
            hosting.host_static_website,
            hosting.point_name_at_load_balancer,
            access.provide_session_access,
            restoring.restore_from_backup,
            running.deploy_container_service,
            running.create_lambda_function,
            running.build_private_api,
        ],
        requirements=[
            "AWS credentials: a profile, SSO or a role",
            "A region: target.region, AWS_REGION or the profile's",
        ],
        extras={calls.RULES: policy.from_environment()},
        undo_handlers={
            buckets.EMPTY_AND_DELETE: buckets.BucketUndo(),
            RESTORE_OBJECT: ObjectUndo(),
            REMOVE: CloudFrontUndo(),
            RESTORE_RECORD: RecordUndo(),
            REMOVE_STATEMENT: StatementUndo(),
            REMOVE_BUCKET_STATEMENT: BucketStatementUndo(),
            RESTORE_RULE: RuleUndo(),
            LEAVE_VPC: VpcUndo(),
            RETURN_STACK: StackUndo(),
            CREATE_AGAIN: StackRecreation(),
            RETURN_TYPE: TypeUndo(),
            RETURN_FUNCTION: FunctionUndo(),
            RETURN_TEMPLATE: TemplateUndo(),
        },
    )
    topology.add_pictures(server)
    return server
