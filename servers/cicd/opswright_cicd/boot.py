"""The part of an instance's user data that fetches a release, checks it and starts it.

Convention: the release's top directory has an executable `run`, or a Procfile with a `web:` line.
It is
unpacked to /opt/<application>/<version> and run by systemd as an unprivileged user, restarted when
it ends,
with PORT and APP_VERSION in its environment.
"""

import re

from pydantic import BaseModel, ConfigDict

from opswright_core.errors import BadInputError, ConflictError

BEGIN, END = "# >>> opswright release", "# <<< opswright release"
MOST_BYTES = 16 * 1024
"""EC2's limit on user data before it is base64-encoded."""

_BLOCK = re.compile(rf"\n*{re.escape(BEGIN)}.*?{re.escape(END)}\n*", re.DOTALL)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]*")


class Boot(BaseModel):
    """What an instance fetches and starts; each field is checked to be safe in a shell script."""

    model_config = ConfigDict(frozen=True)
    application: str
    version: str
    bucket: str
    key: str
    sha256: str
    region: str
    port: int


def with_release(user_data: str, boot: Boot) -> str:
    """The user data with its release block replaced, or added at the end.

    Raises BadInputError for a value that does not belong in a shell script, ConflictError when the
    template's
    own user data is no shell script or leaves no room.
    """
    for name, value in boot.model_dump(exclude={"port"}).items():
        if not _SAFE.fullmatch(value) or ".." in value:
            raise BadInputError(
                f"{name} {value[:80]!r} has characters that a release may not have."
            )
    own = _BLOCK.sub("\n", user_data).rstrip("\n") or "#!/bin/bash"
    if not own.startswith("#!"):
        raise ConflictError(
            "The launch template's user data is not a shell script (it does not begin with #!), "
            "so the release "
            "cannot be added to it. Make it one, or leave it empty."
        )
    whole = f"{own}\n{_script(boot)}"
    if len(whole.encode()) > MOST_BYTES:
        raise ConflictError(
            f"With the release the user data has {len(whole.encode())} bytes; EC2 takes "
            f"{MOST_BYTES}. Shorten it."
        )
    return whole


def _script(boot: Boot) -> str:
    home = f"/opt/{boot.application}/{boot.version}"
    unit = f"/etc/systemd/system/{boot.application}.service"
    return f"""{BEGIN}
/bin/bash -euo pipefail <<'OPSWRIGHT'
archive=$(mktemp)
aws s3 cp --only-show-errors --region {boot.region} 's3://{boot.bucket}/{boot.key}' "$archive"
echo "{boot.sha256}  $archive" | sha256sum -c -
mkdir -p {home}
tar -xzf "$archive" --no-same-owner -C {home}
rm -f "$archive"
cd {home}
if [ -x run ]; then start=./run; else start=$(sed -n 's/^web: *//p' Procfile | head -n 1); fi
[ -n "$start" ] || {{ echo "no executable run and no web: line in Procfile" >&2; exit 1; }}
printf '#!/bin/sh\\nexec %s\\n' "$start" > .start
chmod 755 .start
cat > {unit} <<'UNIT'
[Unit]
Description={boot.application} {boot.version}
Wants=network-online.target
After=network-online.target
[Service]
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
StateDirectory={boot.application}
WorkingDirectory={home}
Environment=PORT={boot.port} APP_VERSION={boot.version}
ExecStart={home}/.start
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable {boot.application}.service
systemctl restart {boot.application}.service
OPSWRIGHT
{END}
"""
