"""The access that docs/how-to/host.md gives NGINX to the edge's files: to bodies whose name it knows, no further."""

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
"""What the unit has beside its rights: servers and credentials, which a probe in its place has no use for."""

PROBE = f"""\
set -e
cat /etc/tagify/tagify.env > /dev/null
mkdir -p {CACHE}/aa && chmod 0710 {CACHE}/aa
echo bytes > {CACHE}/aa/$1.body && chmod 0640 {CACHE}/aa/$1.body
"""


def drop_in() -> str:
    """The lines that the document has put into the unit."""
    found = re.search(r"^    \[Service\]\n(?:    \w+=.*\n)+", OPERATIONS, re.M)
    assert found
    return re.sub(r"^    ", "", found[0], flags=re.M)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ThrowawayHost]:
    rootfs = tmp_path / "rootfs"
    text = NEEDS.sub("", units()["tagify-edge@.service"]).replace("Type=notify", "Type=oneshot")
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/bash /usr/local/bin/probe %i", text, flags=re.M)
    for place, content in {
        "usr/local/bin/probe": PROBE,
        "etc/systemd/system/tagify-edge@.service": text,
        "usr/lib/sysusers.d/tagify.conf": sysusers(),
        "etc/tagify/tagify.env": "TAGIFY_EDGE_X_ACCEL=true\n",
    }.items():
        (rootfs / place).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / place).write_text(content)
    with throwaway_host(tmp_path / "box", rootfs) as booted:
        booted.shell(
            "systemd-sysusers && chown -R root:tagify /etc/tagify && chmod 750 /etc/tagify "
            "&& chmod 640 /etc/tagify/tagify.env && systemctl daemon-reload"
        )
        yield booted


def test_nginx_may_open_a_body_by_its_name_and_nothing_else(host: ThrowawayHost) -> None:
    as_nginx = ("runuser", "-u", "www-data", "--", "cat")
    host.run("systemctl", "start", UNIT)
    assert host.run("stat", "-c", "%a %U:%G", CACHE).strip() == "700 tagify:tagify"
    assert host.run_unchecked(*as_nginx, f"{CACHE}/aa/1.body")[0] == 1
    for command in re.findall(r"^    sudo (groupadd .*|usermod .*)$", OPERATIONS, re.M):
        host.shell(command)
    folder = f"/etc/systemd/system/{UNIT}.d"
    host.shell(f"mkdir -p {folder} && cat > {folder}/override.conf <<'END'\n{drop_in()}END\n")
    host.run("systemctl", "daemon-reload")
    # What lay in the cache before changes hands with it; what is written from now on is the group's too.
    host.run("systemctl", "start", UNIT)
    assert host.run("stat", "-c", "%a %U:%G", CACHE).strip() == "710 tagify:tagify-media"
    assert host.run(*as_nginx, f"{CACHE}/aa/1.body") == "bytes\n"
    for place in ("/etc/tagify/tagify.env", CACHE, f"{CACHE}/aa"):
        assert host.run_unchecked("runuser", "-u", "www-data", "--", "ls", place + "/")[0] != 0
    assert host.run_unchecked(*as_nginx, "/etc/tagify/tagify.env")[0] == 1
    host.run("usermod", "-rG", "tagify-media", "www-data")
    assert host.run_unchecked(*as_nginx, f"{CACHE}/aa/1.body")[0] == 1
