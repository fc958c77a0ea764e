"""The file access that docs/how-to/host.md gives NGINX: bodies of the edge's cache by exact path, nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagify.deploy.systemd import sysusers, units
from tests.support.throwaway_host import ThrowawayHost, throwaway_host

OPERATIONS = (Path(__file__).parents[2] / "docs/how-to/host.md").read_text()
UNIT = "tagify-edge@1.service"
CACHE = "/var/cache/tagify/edge"
NEEDS = re.compile(r"^(LoadCredential|Requires|ExecReload|WatchdogSec|NotifyAccess|PartOf|After)=.*\n", re.M)
"""Settings of the unit that the probe does not need: credentials and dependencies on servers."""

PROBE = f"""\
set -e
cat /etc/tagify/tagify.env > /dev/null
mkdir -p {CACHE}/aa && chmod 0710 {CACHE}/aa
echo bytes > {CACHE}/aa/$1.body && chmod 0640 {CACHE}/aa/$1.body
"""


def drop_in() -> str:
    """The drop-in for the unit, as the document has it."""
    match = re.search(r"^    \[Service\]\n(?:    \w+=.*\n)+", OPERATIONS, re.M)
    assert match
    return re.sub(r"^    ", "", match[0], flags=re.M)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ThrowawayHost]:
    rootfs = tmp_path / "rootfs"
    text = NEEDS.sub("", units()["tagify-edge@.service"]).replace("Type=notify", "Type=oneshot")
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/bash /usr/local/bin/probe %i", text, flags=re.M)
    for path, content in {
        "usr/local/bin/probe": PROBE,
        "etc/systemd/system/tagify-edge@.service": text,
        "usr/lib/sysusers.d/tagify.conf": sysusers(),
        "etc/tagify/tagify.env": "TAGIFY_EDGE_X_ACCEL=true\n",
    }.items():
        (rootfs / path).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / path).write_text(content)
    with throwaway_host(tmp_path / "box", rootfs) as booted:
        booted.shell(
            "systemd-sysusers && chown -R root:tagify /etc/tagify && chmod 750 /etc/tagify "
            "&& chmod 640 /etc/tagify/tagify.env && systemctl daemon-reload"
        )
        yield booted


def test_nginx_may_open_a_body_by_path_and_nothing_else(host: ThrowawayHost) -> None:
    as_nginx = ("runuser", "-u", "www-data", "--", "cat")
    host.run("systemctl", "start", UNIT)
    assert host.run("stat", "-c", "%a %U:%G", CACHE).strip() == "700 tagify:tagify"
    assert host.run_unchecked(*as_nginx, f"{CACHE}/aa/1.body")[0] == 1
    for command in re.findall(r"^    sudo (groupadd .*|usermod .*)$", OPERATIONS, re.M):
        host.shell(command)
    folder = f"/etc/systemd/system/{UNIT}.d"
    host.shell(f"mkdir -p {folder} && cat > {folder}/override.conf <<'END'\n{drop_in()}END\n")
    host.run("systemctl", "daemon-reload")
    # The restart changes the group of existing files; new files get it when they are written.
    host.run("systemctl", "start", UNIT)
    assert host.run("stat", "-c", "%a %U:%G", CACHE).strip() == "710 tagify:tagify-media"
    assert host.run(*as_nginx, f"{CACHE}/aa/1.body") == "bytes\n"
    for path in ("/etc/tagify/tagify.env", CACHE, f"{CACHE}/aa"):
        assert host.run_unchecked("runuser", "-u", "www-data", "--", "ls", path + "/")[0] != 0
    assert host.run_unchecked(*as_nginx, "/etc/tagify/tagify.env")[0] == 1
    host.run("usermod", "-rG", "tagify-media", "www-data")
    assert host.run_unchecked(*as_nginx, f"{CACHE}/aa/1.body")[0] == 1
