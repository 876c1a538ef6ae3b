"""The security server: its table of contents."""

import os
from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_security.advisories import OSV_URL
from opswright_security.permissions import PERMISSIONS
from opswright_security.skills import auditing
from opswright_security.tools import (
    audit,
    catalogue,
    compliance,
    dependencies,
    exposures,
    hardening,
    ingress,
    principals,
    review,
)


def create_server(settings: Settings) -> FastMCP[Any]:
    """Build the security server."""
    return build_server(
        "security",
        title="Security",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=[
            audit.audit_account,
            review.review_application,
            exposures.audit_security_groups,
            compliance.check_compliance,
            catalogue.list_checks,
            catalogue.explain_finding,
            ingress.close_security_group_rule,
            hardening.block_public_access,
            hardening.require_imdsv2,
            principals.audit_iam,
            principals.explain_policy,
            dependencies.scan_dependencies,
        ],
        skills=[
            auditing.audit_security,
            auditing.find_exposure,
            auditing.review_deployment,
            auditing.find_administrators,
            auditing.judge_compliance,
            auditing.close_port,
        ],
        requirements=[
            "AWS credentials; the managed policy SecurityAudit is enough to read",
            "For remedies: ec2:RevokeSecurityGroupIngress, s3:PutBucketPublicAccessBlock, "
            "ec2:ModifyInstanceMetadataOptions, and their inverses to undo",
        ],
        settings=settings,
        permissions=PERMISSIONS,
        extras={"osv_url": os.environ.get("OPSWRIGHT_OSV_URL") or OSV_URL},
    )
