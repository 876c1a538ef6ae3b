"""What `doctor` looks at for this server: git, and Docker where its tools are on offer."""

import shutil

from opswright_core.doctor import Line
from opswright_core.settings import Settings


def examine_git(_: Settings) -> Line:
    """Whether git is on the PATH."""
    found = shutil.which("git")
    if found is None:
        mend = "install git and put it on the PATH"
        return Line(what="git", state="problem", found="not on the PATH", mend=mend)
    return Line(what="git", state="ok", found=found)


def examine_docker(settings: Settings) -> Line:
    """Whether a Docker daemon answers, when the containers toolset is on offer."""
    if not settings.toolsets & {"all", "containers"}:
        return Line(what="docker", state="ok", found="not needed (no containers toolset)")
    import docker

    try:
        client = docker.from_env(timeout=5)
        try:
            version = client.version()["Version"]
        finally:
            client.close()
    except docker.errors.DockerException as exc:
        mend = "start Docker, set DOCKER_HOST, or leave the containers toolset out"
        return Line(what="docker", state="problem", found=f"no daemon answers: {exc}", mend=mend)
    return Line(what="docker", state="ok", found=f"daemon {version}")
