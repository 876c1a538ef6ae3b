"""Judges what runs: instance metadata, volumes, images, credentials in clear."""

from opswright_security.facts import compute as read
from opswright_security.plaintext import credential_variables, credentials_in
from opswright_security.reading import Fact
from opswright_security.rules import Problem, rule

_CREDENTIAL_FIX = (
    "Change the credential, keep it in Secrets Manager and have the role read it at start."
)


def _metadata_problem(options: dict[str, str]) -> Problem:
    if options.get("HttpEndpoint") == "disabled" or options.get("HttpTokens") == "required":
        return None
    return "answers requests without a token (IMDSv1)"


@rule(
    "ec2-imdsv2",
    "Instances ask for IMDSv2",
    "high",
    read.load_instances,
    "cis-3.0:5.6",
    "fsbp:EC2.8",
    fix="Use require_imdsv2, after checking that what runs there uses a current AWS SDK.",
    command="aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens required",
)
def imdsv2(instance: Fact) -> Problem:
    """With IMDSv1 one forged request through the application gives away the role's credentials."""
    return _metadata_problem(instance.get("MetadataOptions") or {})


@rule(
    "ec2-launch-template-imdsv2",
    "Launch templates ask for IMDSv2",
    "medium",
    read.load_launch_templates,
    "fsbp:EC2.170",
    fix="Make a template version with MetadataOptions.HttpTokens=required and use it as default.",
)
def launch_template_imdsv2(template: Fact) -> Problem:
    """Every instance that the group starts inherits it."""
    return _metadata_problem(template.get("MetadataOptions") or {})


@rule(
    "ec2-ebs-encrypted",
    "Attached volumes are encrypted",
    "medium",
    read.load_volumes,
    "fsbp:EC2.3",
    fix="Snapshot the volume, copy the snapshot encrypted, and replace the volume.",
)
def ebs_encrypted(volume: Fact) -> Problem:
    """Snapshots and copies of a clear volume are clear too."""
    clear = volume.get("Attachments") and not volume["Encrypted"]
    return "attached and not encrypted" if clear else None


@rule(
    "ec2-ebs-default-encryption",
    "New volumes are encrypted by default",
    "medium",
    read.load_ebs_default,
    "cis-3.0:2.2.1",
    "fsbp:EC2.7",
    fix="Turn on encryption by default, region by region.",
    command="aws ec2 enable-ebs-encryption-by-default",
)
def ebs_default(region: Fact) -> Problem:
    """Nobody has to remember it then."""
    return None if region["EbsEncryptionByDefault"] else "off in this region"


@rule(
    "ec2-snapshot-public",
    "No EBS snapshot is public",
    "critical",
    read.load_shared_snapshots,
    "fsbp:EC2.1",
    fix="Remove the permission for all; treat what was on the disk as leaked.",
    command="aws ec2 modify-snapshot-attribute --snapshot-id ID "
    "--attribute createVolumePermission --operation-type remove --group-names all",
)
def snapshot_public(snapshot: Fact) -> Problem:
    """Anyone can copy the disk, and public snapshots are combed for keys."""
    shared = any(p.get("Group") == "all" for p in snapshot["permissions"] or [])
    return "anybody can restore it" if shared else None


@rule(
    "ec2-image-public",
    "No AMI of the account is public",
    "high",
    read.load_images,
    fix="Remove the launch permission for all.",
    command="aws ec2 modify-image-attribute --image-id ID "
    '--launch-permission "Remove=[{Group=all}]"',
)
def image_public(image: Fact) -> Problem:
    """Anyone can start it and read what is on it."""
    return "anybody can launch it" if image.get("Public") else None


@rule(
    "ec2-user-data-credentials",
    "No credentials in the instances' user data",
    "critical",
    read.load_user_data,
    fix=_CREDENTIAL_FIX,
)
def user_data_credentials(instance: Fact) -> Problem:
    """Every process on the machine can read user data, and so can everyone who may describe it."""
    return "; ".join(credentials_in(instance["text"])[:5]) or None


@rule(
    "ec2-launch-template-credentials",
    "No credentials in launch templates",
    "critical",
    read.load_launch_templates,
    fix=_CREDENTIAL_FIX,
)
def launch_template_credentials(template: Fact) -> Problem:
    """Old template versions keep them for good."""
    return "; ".join(credentials_in(template["text"])[:5]) or None


@rule(
    "lambda-environment-credentials",
    "No credentials in functions' environment variables",
    "high",
    read.load_functions,
    fix=_CREDENTIAL_FIX,
)
def lambda_credentials(function: Fact) -> Problem:
    """Everyone who may read the configuration reads them; they end up in exports."""
    environment = function.get("Environment") or {}
    names = credential_variables(environment.get("Variables") or {})
    return f"in clear: {', '.join(names[:8])}" if names else None
