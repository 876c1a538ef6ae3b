"""The script that starts a release, really run by bash with a pretended aws and systemd."""

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from opswright_cicd.boot import BEGIN, END, Boot, with_release
from opswright_core.errors import BadInputError, ConflictError

BOOT = Boot(
    application="shop",
    version="v1.0.0",
    bucket="releases",
    key="releases/shop/v1.0.0/abc.tar.gz",
    sha256="0" * 64,
    region="eu-west-1",
    port=8080,
)


def boot(
    tmp_path: Path, files: dict[str, str], sha256: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the script in `tmp_path`, with `aws s3 cp` as a copy and `systemctl` as a note."""
    source = tmp_path / "source"
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name in files:
            packed.add(source / name, name)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "aws").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/aws.log\nfor to; do :; done\ncp {archive} "$to"\n'
    )
    (commands / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/systemctl.log\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    digest = sha256 or hashlib.sha256(archive.read_bytes()).hexdigest()
    script = with_release("", BOOT.model_copy(update={"sha256": digest}))
    script = script.replace("/opt/", f"{tmp_path}/opt/").replace("/etc/", f"{tmp_path}/etc/")
    environ = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PORT": "9999"}
    return subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True)


def test_a_release_is_fetched_checked_unpacked_and_started(tmp_path: Path) -> None:
    done = boot(tmp_path, {"run": '#!/bin/sh\necho "port $PORT"\n', "lib/a.txt": "a"})
    assert done.returncode == 0, done.stderr
    home = tmp_path / "opt/shop/v1.0.0"
    assert (home / "lib/a.txt").read_text() == "a"
    started = subprocess.run(
        [home / ".start"], cwd=home, env={"PORT": "8080"}, capture_output=True, text=True
    )
    assert started.stdout == "port 8080\n"
    unit = (tmp_path / "etc/systemd/system/shop.service").read_text()
    assert "Environment=PORT=8080 APP_VERSION=v1.0.0" in unit
    assert "DynamicUser=yes" in unit
    assert (tmp_path / "systemctl.log").read_text().splitlines() == [
        "daemon-reload", "enable shop.service", "restart shop.service",
    ]  # fmt: skip
    assert "s3://releases/releases/shop/v1.0.0/abc.tar.gz" in (tmp_path / "aws.log").read_text()


def test_a_procfile_starts_its_web_process(tmp_path: Path) -> None:
    done = boot(tmp_path, {"Procfile": "release: ./migrate\nweb: echo hello $PORT\n"})
    assert done.returncode == 0, done.stderr
    home = tmp_path / "opt/shop/v1.0.0"
    started = subprocess.run(
        [home / ".start"],
        cwd=home,
        env={"PORT": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert started.stdout == "hello 1\n"


def test_other_bytes_than_the_released_ones_never_start(tmp_path: Path) -> None:
    done = boot(tmp_path, {"run": "#!/bin/sh\n"}, sha256="1" * 64)
    assert done.returncode != 0
    assert not (tmp_path / "opt").exists()
    assert not (tmp_path / "systemctl.log").exists()


def test_a_release_without_a_start_fails_to_boot(tmp_path: Path) -> None:
    done = boot(tmp_path, {"app.py": "x", "Procfile": "worker: x\n"})
    assert done.returncode == 1
    assert "no executable run" in done.stderr


def test_the_template_keeps_its_own_script_and_one_release_block() -> None:
    once = with_release("#!/bin/bash\nyum install -y agent\n", BOOT)
    twice = with_release(once, BOOT.model_copy(update={"version": "v2"}))
    assert twice.startswith("#!/bin/bash\nyum install -y agent\n")
    assert (twice.count(BEGIN), twice.count(END)) == (1, 1)
    assert "v1.0.0 " not in twice.replace("releases/shop/v1.0.0/", "")
    assert with_release(twice, BOOT) == once


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "v1;reboot"},
        {"key": "a/../b"},
        {"key": "a'b"},
        {"application": "$(id)"},
        {"bucket": ""},
    ],
)
def test_nothing_but_plain_words_goes_into_the_script(wrong: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="may not have"):
        with_release("", BOOT.model_copy(update=wrong))


def test_user_data_that_cannot_take_a_release_is_refused() -> None:
    with pytest.raises(ConflictError, match="not a shell script"):
        with_release("#cloud-config\n".replace("#", "", 1), BOOT)
    with pytest.raises(ConflictError, match="bytes; EC2 takes 16384"):
        with_release("#!/bin/bash\n" + "x" * 16_000, BOOT)
