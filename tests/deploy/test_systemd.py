"""Tagify on a host of its own: installed by `make install`, run by systemd, behind NGINX.

One box for all, in the order of a host's life: each test leaves everything running.
"""

import asyncio
import json
import re
from collections.abc import Sequence

import pytest

from tests.deploy.conftest import MAKE_INSTALL, SITE
from tests.support.box import Box

pytestmark = pytest.mark.slow

SERVICES = ("tagify-ingest", "tagify-api@1", "tagify-api@2", "tagify-edge@1", "tagify-edge@2")
SOCKETS = {
    "tagify-ingest": "/run/tagify/ingest.sock",
    "tagify-api@1": "/run/tagify/api-1.sock",
    "tagify-edge@1": "/run/tagify/edge-1.sock",
}
IMAGES = 6
TAGIFY = "/usr/local/bin/tagify"


def statuses(host: Box, *urls: str, options: str = "") -> set[str]:
    """The HTTP statuses of these, asked one after the other."""
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' {options}"
    return set(host.shell(f"for url in {' '.join(urls)}; do {ask} $url; done").split())


def images(host: Box) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(host.shell(f"curl -s '{SITE}/api/images?limit=100'"))["items"]
    return found


def all_ready(host: Box) -> bool:
    return all(host.show(name, "ActiveState") == "active" for name in SERVICES)


def media(host: Box) -> Sequence[str]:
    return [
        f"{SITE}/media/{image['content']}/{kind}"
        for image in images(host)
        for kind in ("320.webp", "original")
    ]


def test_after_the_installation_everything_runs_and_a_library_is_served(host: Box) -> None:
    assert all_ready(host)
    body = '{"path": "/srv/photos", "name": "Photos"}'
    host.shell(f"curl -sf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":{IMAGES}'")
    assert len(images(host)) == IMAGES
    assert statuses(host, f"{SITE}/", *media(host)) == {"200"}
    assert statuses(host, f"{SITE}/metrics", f"{SITE}/readyz") == {"404"}
    inside = "http://127.0.0.1:8089"
    pages = [f"{inside}/{name}/readyz" for name in ("api/1", "api/2", "edge/1", "edge/2", "ingest/1")]
    assert statuses(host, *pages) == {"200"}


def test_the_settings_file_names_every_setting_and_the_secrets_are_roots(host: Box) -> None:
    text = host.run("cat", "/etc/tagify/tagify.env")
    assert "#TAGIFY_EDGE_CACHE_BYTES=10000000000" in text
    assert "TAGIFY_S3_SECRET_KEY" not in text
    assert host.run("stat", "-c", "%a %U", "/etc/tagify/credentials").split() == ["700", "root"]
    code, _ = host.try_("runuser", "-u", "tagify", "--", "cat", "/etc/tagify/credentials/tagify_mongo_uri")
    assert code == 1
    assert "mongodb://" not in host.run("systemctl", "show", "tagify-api@1")


def test_a_second_installation_changes_nothing(host: Box) -> None:
    before = [host.show(name, "MainPID") for name in SERVICES]
    assert host.run(TAGIFY, "install", "--with-servers").strip() == "nothing to do"
    assert host.run(TAGIFY, "install", "--with-servers", "--dry-run").strip() == "nothing to do"
    assert [host.show(name, "MainPID") for name in SERVICES] == before


@pytest.mark.parametrize(
    ("unit", "limit"),
    [
        ("tagify-api@1", 2.0),
        ("tagify-edge@1", 2.0),
        ("tagify-ingest", 2.5),
        ("tagify-mongod", 2.5),
        ("tagify-s3", 2.5),
    ],
)
def test_systemd_finds_little_exposure(host: Box, unit: str, limit: float) -> None:
    said = host.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found
    assert float(found[1]) <= limit


@pytest.mark.parametrize("unit", SERVICES)
def test_the_sandbox_is_on(host: Box, unit: str) -> None:
    pid = host.show(unit, "MainPID")
    status = host.run("cat", f"/proc/{pid}/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"):
        assert line in status
    for place in ("/srv/photos/x", "/etc/x", "/opt/tagify/x", "/usr/x"):
        code, said = host.try_("nsenter", "-t", pid, "-m", "touch", place)
        assert (code, "Read-only file system" in said) == (1, True), place


@pytest.mark.parametrize("unit", SOCKETS)
def test_a_connection_starts_a_service_that_is_not_there(host: Box, unit: str) -> None:
    host.run("systemctl", "stop", f"{unit}.service")
    assert host.show(f"{unit}.service", "ActiveState") == "inactive"
    assert statuses(host, "http://x/livez", options=f"--unix-socket {SOCKETS[unit]}") == {"200"}
    host.wait(f"systemctl is-active -q {unit}.service")


@pytest.mark.parametrize("unit", SOCKETS)
def test_requests_wait_through_a_restart(host: Box, unit: str) -> None:
    before = host.show(unit, "MainPID")
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' --unix-socket {SOCKETS[unit]} http://x/livez"
    said = host.shell(
        f"systemctl restart {unit}.service & for n in $(seq 40); do {ask} & sleep 0.05; done; wait; "
        f"systemctl is-active {unit}.service"
    ).split()
    assert said == ["200"] * 40 + ["active"]
    assert host.show(unit, "MainPID") != before


HELD = """
import socket, subprocess
body = b'["held"]'
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(60)
    client.connect("/run/tagify/api-1.sock")
    head = "POST /api/tags/apply/%s HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
    client.sendall((head % ("{image}", len(body))).encode() + body[:3])
    restart = subprocess.Popen(["systemctl", "restart", "tagify-api@1.service"])
    while "deactivating" not in subprocess.run(
        ["systemctl", "is-active", "tagify-api@1.service"], capture_output=True, text=True
    ).stdout:
        pass
    client.sendall(body[3:])
    answer = b""
    while part := client.recv(4096):
        answer += part
    print(answer.decode().splitlines()[0], restart.wait())
"""


def test_a_request_under_way_is_held_through_a_restart(host: Box) -> None:
    image = images(host)[0]["_id"]
    said = host.run("/opt/tagify/current/bin/python", "-c", HELD.replace("{image}", image))
    assert said.split() == ["HTTP/1.1", "200", "OK", "0"]
    assert "held" in host.shell(f"curl -s {SITE}/api/images/{image}")


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_that_is_killed_is_back_and_nobody_noticed(host: Box, unit: str) -> None:
    before = host.show(unit, "MainPID")
    urls = [*media(host), f"{SITE}/api/tags", f"{SITE}/api/images"]
    host.run("kill", "-KILL", before)
    assert statuses(host, *(urls * 3)) == {"200"}
    host.wait(f"systemctl is-active -q {unit}.service && [ $(systemctl show -P MainPID {unit}) != {before} ]")


@pytest.mark.parametrize("unit", ["tagify-ingest", "tagify-api@2", "tagify-edge@2"])
def test_a_loop_that_is_stuck_is_restarted(host: Box, unit: str) -> None:
    before = host.show(unit, "MainPID")
    host.run("kill", "-STOP", before)
    host.wait(f"[ $(systemctl show -P MainPID {unit}) != {before} ] && systemctl is-active -q {unit}", 90)
    assert "Watchdog timeout" in host.journal(unit)


def test_a_reload_takes_over_what_can_be_and_keeps_the_process(host: Box) -> None:
    before = host.show("tagify-api@1", "MainPID")
    host.shell("echo TAGIFY_LOG_LEVEL=debug >> /etc/tagify/tagify.env; systemctl reload tagify-api@1")
    host.wait("journalctl -u tagify-api@1 -o cat | grep -q 'settings read again: log_level'")
    host.shell("sed -i /^TAGIFY_LOG_LEVEL/d /etc/tagify/tagify.env; systemctl reload tagify-api@1")
    host.wait("systemctl is-active -q tagify-api@1")
    assert host.show("tagify-api@1", "MainPID") == before


def test_the_journal_can_be_read_by_people_and_programs(host: Box) -> None:
    lines = [line for line in host.journal("tagify-edge@1").splitlines() if line.startswith("{")]
    entry = json.loads(lines[-1])
    assert entry["service"] == "edge"
    assert {"time", "level", "message"} <= entry.keys()
    fields = host.run("journalctl", "-u", "tagify-edge@1", "-o", "json", "-n", "1")
    assert json.loads(fields)["SYSLOG_IDENTIFIER"].startswith(("tagify-edge-1", "systemd"))


def test_the_nightly_care_succeeds(host: Box) -> None:
    host.run("systemctl", "start", "tagify-maintenance.service", timeout_s=180)
    assert host.show("tagify-maintenance.service", "Result") == "success"
    assert "every count is exact" in host.journal("tagify-maintenance.service")
    assert host.show("tagify-maintenance.timer", "ActiveState") == "active"


def test_all_stop_in_time_with_clients_that_stay(host: Box) -> None:
    host.shell(
        f"curl -sN {SITE}/api/events >/dev/null & sleep 0.5; systemctl stop tagify.target "
        "'tagify-*.service'; wait",
        timeout_s=60,
    )
    for name in SERVICES:
        assert host.show(name, "Result") == "success", host.journal(name)[-2000:]
    host.run("systemctl", "start", "tagify.target")
    assert all_ready(host)


async def test_an_upgrade_under_load_fails_no_request_and_keeps_all(host: Box) -> None:
    host.shell("echo TAGIFY_NGINX_REQUESTS_PER_S=100000 >> /etc/tagify/tagify.env")
    host.run(TAGIFY, "install", "--with-servers")
    before = (host.run("readlink", "/opt/tagify/current"), images(host))
    urls = [f"{SITE}/api/images?limit=5", f"{SITE}/api/tags", f"{SITE}/api/images/{before[1][0]['_id']}/file"]
    loads = [
        await host.start("nice", "-n19", "wrk", "-t1", "-c2", "-d600s", "--timeout", "30s", url)
        for url in urls
    ]
    await asyncio.to_thread(host.shell, MAKE_INSTALL, 300)
    # Under load to the very end, and a moment more; wrk reports when it is interrupted.
    await asyncio.sleep(2)
    host.shell("pkill -INT -x wrk")
    for load in loads:
        out, _ = await load.communicate()
        report = out.decode()
        assert re.search(r"\d+ requests in", report), report
        assert "Non-2xx" not in report, report
        assert "Socket errors" not in report, report
    assert host.run("readlink", "/opt/tagify/current") != before[0]
    assert images(host) == before[1]
    assert all_ready(host)


def test_a_reboot_brings_everything_back(host: Box) -> None:
    before = images(host)
    host.reboot()
    host.wait(f"curl -sf {SITE}/api/images", 90)
    assert images(host) == before
    host.wait("systemctl is-active -q " + " ".join(SERVICES))
    assert statuses(host, *media(host)) == {"200"}


def test_what_is_taken_off_leaves_settings_and_data(host: Box) -> None:
    host.run(TAGIFY, "uninstall", timeout_s=180)
    assert host.shell("ls /etc/systemd/system | grep tagify || true") == ""
    host.run("nginx", "-t", "-q")
    host.shell("test ! -e /opt/tagify && test -d /var/lib/tagify/mongod && test -f /etc/tagify/tagify.env")
    host.shell(MAKE_INSTALL, timeout_s=300)
    host.wait(f"curl -sf '{SITE}/api/images?limit=100' | grep -q 5.jpg", 60)
    assert len(images(host)) == IMAGES
