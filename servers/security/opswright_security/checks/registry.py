"""Every check there is."""

from opswright_core.errors import BadInputError
from opswright_security.checks import (
    compute,
    detection,
    identity,
    network,
    reachability,
    storage,
)
from opswright_security.rules import Rule

RULES: tuple[Rule, ...] = (
    identity.root_mfa,
    identity.root_access_key,
    identity.password_length,
    identity.password_reuse,
    identity.user_mfa,
    identity.access_key_age,
    identity.access_key_unused,
    identity.password_unused,
    identity.user_one_key,
    identity.user_policies,
    identity.admin_policy,
    identity.service_wildcard,
    identity.role_trust_everyone,
    identity.role_external_account,
    identity.role_oidc_subject,
    identity.support_role,
    identity.cloudshell_full_access,
    identity.certificate_expired,
    identity.access_analyzer,
    network.sg_open_all,
    network.sg_admin_ipv4,
    network.sg_admin_ipv6,
    network.sg_database,
    network.sg_risky,
    network.sg_default,
    network.nacl_admin,
    network.vpc_flow_logs,
    network.default_vpc_used,
    network.elb_tls,
    compute.imdsv2,
    compute.launch_template_imdsv2,
    compute.ebs_encrypted,
    compute.ebs_default,
    compute.snapshot_public,
    compute.image_public,
    compute.user_data_credentials,
    compute.launch_template_credentials,
    compute.lambda_credentials,
    storage.account_public_access_block,
    storage.bucket_public_access_block,
    storage.bucket_public,
    storage.bucket_encryption,
    storage.bucket_versioning,
    storage.bucket_tls_only,
    storage.rds_public,
    storage.rds_encrypted,
    storage.rds_backups,
    storage.rds_deletion_protection,
    storage.rds_minor_upgrades,
    storage.rds_snapshot_public,
    storage.efs_encrypted,
    storage.kms_rotation,
    storage.secret_rotation,
    reachability.rds_reachable,
    reachability.rds_public_subnet,
    reachability.rds_ingress_outside,
    reachability.rds_ingress_groups,
    reachability.rds_password_secret,
    reachability.instance_public,
    detection.trail_multi_region,
    detection.trail_validation,
    detection.trail_encrypted,
    detection.guardduty,
    detection.config_recorder,
    detection.security_hub,
)

SERVICES = tuple(sorted({rule.service for rule in RULES}))


def rule_of(check_id: str) -> Rule:
    """The check of an id. Raises BadInputError that names the nearest ids."""
    from difflib import get_close_matches

    found = next((rule for rule in RULES if rule.id == check_id), None)
    if found is None:
        ids = [rule.id for rule in RULES]
        near = get_close_matches(check_id, ids, 3, 0.3) or ids[:3]
        raise BadInputError(
            f"No check {check_id!r}; near it: {', '.join(near)}. list_checks names them all."
        )
    return found


def rules_of(services: list[str] | None) -> list[Rule]:
    """The checks of some services, of all for None. Raises BadInputError for an unknown service."""
    unknown = sorted(set(services or []) - set(SERVICES))
    if unknown:
        raise BadInputError(
            f"No checks for {', '.join(unknown)}; there are: {', '.join(SERVICES)}."
        )
    return [rule for rule in RULES if services is None or rule.service in services]
