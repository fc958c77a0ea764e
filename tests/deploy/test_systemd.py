"""Tagify on a host of its own: installed by `make install`, run by systemd, behind NGINX.

One box for all, in the order of a host's life: each test leaves everything running.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence

import pytest

from tests.deploy.conftest import LARGE, MAKE_INSTALL, SITE
from tests.support.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.slow

SERVICES = ("tagify-ingest", "tagify-api@1", "tagify-api@2", "tagify-edge@1", "tagify-edge@2")
SOCKETS = {
    "tagify-ingest": "/run/tagify/ingest.sock",
    "tagify-api@1": "/run/tagify/api-1.sock",
    "tagify-edge@1": "/run/tagify/edge-1.sock",
}
SERVERS = ("tagify-mongod", "tagify-s3")
IMAGES = 7
TAGIFY = "/usr/local/bin/tagify"


def statuses(host: ThrowawayHost, *urls: str, options: str = "") -> set[str]:
    """The HTTP statuses of these, asked one after the other."""
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' {options}"
    return set(host.shell(f"for url in {' '.join(urls)}; do {ask} $url; done").split())


def images(host: ThrowawayHost) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(host.shell(f"curl -s '{SITE}/api/images?limit=100'"))["items"]
    return found


def all_ready(host: ThrowawayHost) -> bool:
    return all(host.unit_property(name, "ActiveState") == "active" for name in SERVICES)


def media(host: ThrowawayHost) -> Sequence[str]:
    return [
        f"{SITE}/media/{image['content']}/{kind}"
        for image in images(host)
        for kind in ("320.webp", "original")
    ]


def test_after_the_installation_everything_runs_and_a_library_is_served(host: ThrowawayHost) -> None:
    assert all_ready(host)
    body = '{"path": "/srv/photos", "name": "Photos"}'
    host.shell(f"curl -sSf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait_until(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":{IMAGES}'")
    assert len(images(host)) == IMAGES
    assert statuses(host, f"{SITE}/", *media(host)) == {"200"}
    assert statuses(host, f"{SITE}/metrics", f"{SITE}/readyz") == {"404"}
    inside = "http://127.0.0.1:8089"
    pages = [f"{inside}/{name}/readyz" for name in ("api/1", "api/2", "edge/1", "edge/2", "ingest/1")]
    assert statuses(host, *pages) == {"200"}
    assert statuses(host, f"{inside}/purge") == {"204"}
    assert host.run("cat", "/var/lib/tagify/s3/server").strip() == "minio"
    assert [host.unit_property(name, "ActiveState") for name in SERVERS] == ["active"] * 2


def test_the_settings_file_names_every_setting_and_the_secrets_are_roots(host: ThrowawayHost) -> None:
    text = host.run("cat", "/etc/tagify/tagify.env")
    assert "#TAGIFY_EDGE_CACHE_BYTES=10000000000" in text
    assert "TAGIFY_S3_SECRET_KEY" not in text
    assert host.run("stat", "-c", "%a %U", "/etc/tagify/credentials").split() == ["700", "root"]
    code, _ = host.run_unchecked(
        "runuser", "-u", "tagify", "--", "cat", "/etc/tagify/credentials/tagify_mongo_uri"
    )
    assert code == 1
    assert "mongodb://" not in host.run("systemctl", "show", "tagify-api@1")


@pytest.mark.parametrize("unit", SERVICES)
def test_passwords_come_as_credentials_that_only_the_service_reads(host: ThrowawayHost, unit: str) -> None:
    pid = host.unit_property(unit, "MainPID")
    assert b"mongodb://" not in host.run("cat", f"/proc/{pid}/environ").encode()
    place = f"/run/credentials/{unit}.service/tagify_mongo_uri"
    assert host.run("cat", place) == host.run("cat", "/etc/tagify/credentials/tagify_mongo_uri")
    code, _ = host.run_unchecked("runuser", "-u", "www-data", "--", "cat", place)
    assert code == 1


@pytest.mark.parametrize("unit", (*SERVICES, *SERVERS))
def test_memory_and_tasks_are_limited_by_the_kernel(host: ThrowawayHost, unit: str) -> None:
    group = host.unit_property(unit, "ControlGroup")
    memory = host.run("cat", f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes").strip()
    tasks = host.run("cat", f"/sys/fs/cgroup/pids{group}/pids.max").strip()
    assert (memory, tasks) == (host.unit_property(unit, "MemoryMax"), host.unit_property(unit, "TasksMax"))
    assert memory.isdigit()
    assert tasks.isdigit()
    wanted = "continue" if unit.startswith("tagify-edge") else "stop"
    assert host.unit_property(unit, "OOMPolicy") == wanted


def test_a_second_installation_changes_nothing(host: ThrowawayHost) -> None:
    before = [host.unit_property(name, "MainPID") for name in SERVICES]
    assert host.run(TAGIFY, "install", "--with-servers").strip() == "nothing to do"
    assert host.run(TAGIFY, "install", "--with-servers", "--dry-run").strip() == "nothing to do"
    assert [host.unit_property(name, "MainPID") for name in SERVICES] == before


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
def test_systemd_finds_little_exposure(host: ThrowawayHost, unit: str, limit: float) -> None:
    said = host.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found
    assert float(found[1]) <= limit


@pytest.mark.parametrize("unit", SERVICES)
def test_the_sandbox_is_on(host: ThrowawayHost, unit: str) -> None:
    pid = host.unit_property(unit, "MainPID")
    status = host.run("cat", f"/proc/{pid}/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"):
        assert line in status
    for place in ("/srv/photos/x", "/etc/x", "/opt/tagify/x", "/usr/x"):
        code, said = host.run_unchecked("nsenter", "-t", pid, "-m", "touch", place)
        assert (code, "Read-only file system" in said) == (1, True), place


@pytest.mark.parametrize("unit", SOCKETS)
def test_a_connection_starts_a_service_that_is_not_there(host: ThrowawayHost, unit: str) -> None:
    host.run("systemctl", "stop", f"{unit}.service")
    assert host.unit_property(f"{unit}.service", "ActiveState") == "inactive"
    assert statuses(host, "http://x/livez", options=f"--unix-socket {SOCKETS[unit]}") == {"200"}
    host.wait_until(f"systemctl is-active -q {unit}.service")


@pytest.mark.parametrize("unit", SOCKETS)
def test_requests_wait_through_a_restart(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    ask = f"curl -s -o /dev/null -w '%{{http_code}}\\n' --unix-socket {SOCKETS[unit]} http://x/livez"
    said = host.shell(
        f"systemctl restart {unit}.service & for n in $(seq 40); do {ask} & sleep 0.05; done; wait; "
        f"systemctl is-active {unit}.service"
    ).split()
    assert said == ["200"] * 40 + ["active"]
    assert host.unit_property(unit, "MainPID") != before


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


DOWNLOAD = """
import socket, subprocess
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(60)
    client.connect("/run/tagify/edge-1.sock")
    client.sendall(b"GET /media/{content}/original HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    answer = client.recv(65536)
    restart = subprocess.Popen(["systemctl", "restart", "tagify-edge@1.service"])
    while "deactivating" not in subprocess.run(
        ["systemctl", "is-active", "tagify-edge@1.service"], capture_output=True, text=True
    ).stdout:
        pass
    while part := client.recv(65536):
        answer += part
    print(len(answer.partition(b"\\r\\n\\r\\n")[2]), restart.wait())
"""


def test_a_download_under_way_is_finished_through_a_restart(host: ThrowawayHost) -> None:
    (content,) = [image["content"] for image in images(host) if image["path"] == "0.jpg"]
    said = host.run("/opt/tagify/current/bin/python", "-c", DOWNLOAD.replace("{content}", content))
    assert said.split() == [str(LARGE), "0"]


def test_a_request_under_way_is_held_through_a_restart(host: ThrowawayHost) -> None:
    image = images(host)[0]["_id"]
    said = host.run("/opt/tagify/current/bin/python", "-c", HELD.replace("{image}", image))
    assert said.split() == ["HTTP/1.1", "200", "OK", "0"]
    assert "held" in host.shell(f"curl -s {SITE}/api/images/{image}")


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_that_is_killed_is_back_and_nobody_noticed(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    urls = [*media(host), f"{SITE}/api/tags", f"{SITE}/api/images"]
    host.run("kill", "-KILL", before)
    assert statuses(host, *(urls * 3)) == {"200"}
    host.wait_until(
        f"systemctl is-active -q {unit}.service && [ $(systemctl show -P MainPID {unit}) != {before} ]"
    )


@pytest.mark.parametrize("unit", SERVERS)
def test_a_server_that_is_killed_is_back_and_the_services_with_it(host: ThrowawayHost, unit: str) -> None:
    before, services = (
        host.unit_property(unit, "MainPID"),
        [host.unit_property(name, "MainPID") for name in SERVICES],
    )
    host.run("kill", "-KILL", before)
    host.wait_until(
        f"systemctl is-active -q {unit} && [ $(systemctl show -P MainPID {unit}) != {before} ]", 120
    )
    inside = "http://127.0.0.1:8089"
    for page in ("api/1", "api/2", "edge/1", "edge/2", "ingest/1"):
        host.wait_until(f"curl -sSf {inside}/{page}/readyz", 60)
    urls = [*media(host), *(f"{SITE}/media/{image['content']}/160.jpg" for image in images(host))]
    assert statuses(host, *urls) == {"200"}
    assert [host.unit_property(name, "MainPID") for name in SERVICES] == services


def test_an_edge_whose_worker_is_killed_goes_on(host: ThrowawayHost) -> None:
    before = host.unit_property("tagify-edge@1", "MainPID")
    group = host.unit_property("tagify-edge@1", "ControlGroup")
    pids = host.run("cat", f"/sys/fs/cgroup/pids{group}/cgroup.procs").split()
    workers = [pid for pid in pids if pid != before]
    assert workers
    host.run("kill", "-KILL", *workers)
    content = images(host)[0]["content"]
    ask = f"curl -sSf -o /dev/null --unix-socket {SOCKETS['tagify-edge@1']} http://x/media/{content}/512.avif"
    host.wait_until(ask, 60)
    assert host.unit_property("tagify-edge@1", "MainPID") == before


STUCK = (
    "import runpy, signal, time; "
    "signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600)); "
    "runpy.run_module('{name}', run_name='__main__')"
)
"""The service, and a signal after which its event loop does not come round again: its process lives on."""


@pytest.mark.parametrize("unit", ["tagify-ingest", "tagify-api@2", "tagify-edge@2"])
def test_a_loop_that_is_stuck_is_restarted(host: ThrowawayHost, unit: str) -> None:
    name = unit.partition("-")[2].partition("@")[0]
    folder = f"/run/systemd/system/{unit}.service.d"
    start = f'/opt/tagify/current/bin/python -P -c "{STUCK.format(name=name)}"'
    host.shell(
        f"mkdir -p {folder}; printf '%s\\n' '[Service]' 'ExecStart=' \"$0\" > {folder}/stuck.conf; "
        f"systemctl daemon-reload; systemctl restart {unit}",
        f"ExecStart={start}",
    )
    before = host.unit_property(unit, "MainPID")
    host.run("kill", "-USR1", before)
    assert host.run("cat", f"/proc/{before}/stat").split()[2] in "SR"
    host.wait_until(
        f"[ $(systemctl show -P MainPID {unit}) != {before} ] && systemctl is-active -q {unit}", 90
    )
    assert "Watchdog timeout" in host.journal(unit)
    host.shell(f"rm -r {folder}; systemctl daemon-reload; systemctl restart {unit}")


@pytest.mark.parametrize("unit", SOCKETS)
def test_a_reload_takes_over_what_can_be_and_keeps_the_process(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    host.shell(f"echo TAGIFY_LOG_LEVEL=debug >> /etc/tagify/tagify.env; systemctl reload {unit}")
    host.wait_until(f"journalctl -u {unit} -o cat | grep -q 'settings reloaded: log_level'")
    host.shell(f"sed -i /^TAGIFY_LOG_LEVEL/d /etc/tagify/tagify.env; systemctl reload {unit}")
    host.wait_until(f"systemctl is-active -q {unit}")
    assert host.unit_property(unit, "MainPID") == before


def test_the_journal_can_be_read_by_people_and_programs(host: ThrowawayHost) -> None:
    lines = [line for line in host.journal("tagify-edge@1").splitlines() if line.startswith("{")]
    entry = json.loads(lines[-1])
    assert entry["service"] == "edge"
    assert {"time", "level", "message"} <= entry.keys()
    fields = host.run("journalctl", "-u", "tagify-edge@1", "-o", "json", "-n", "1")
    assert json.loads(fields)["SYSLOG_IDENTIFIER"].startswith(("tagify-edge-1", "systemd"))


def test_the_nightly_care_succeeds(host: ThrowawayHost) -> None:
    host.run("systemctl", "start", "tagify-maintenance.service", timeout_s=180)
    assert host.unit_property("tagify-maintenance.service", "Result") == "success"
    assert "every count is exact" in host.journal("tagify-maintenance.service")
    assert host.unit_property("tagify-maintenance.timer", "ActiveState") == "active"


@pytest.fixture
def certificates_end(host: ThrowawayHost) -> Iterator[None]:
    """A certificate that NGINX is told of in a test is not there for the next one."""
    yield
    host.shell(
        f"sed -i /TLS_CERTIFICATE=.etc/d\\;/TLS_KEY=.etc/d /etc/tagify/tagify.env; {TAGIFY} install --with-servers"
    )
    host.wait_until(f"curl -sSf {SITE}/api/tags")


@pytest.mark.usefixtures("certificates_end")
def test_a_certificate_makes_it_https_and_a_reload_renews_it(host: ThrowawayHost) -> None:
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={} "
        "-addext subjectAltName=IP:127.0.0.1 -keyout /etc/tagify/tls.key -out /etc/tagify/tls.pem 2>/dev/null"
    )
    shown = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -subject"
    names = ("TAGIFY_NGINX_TLS_CERTIFICATE=/etc/tagify/tls.pem", "TAGIFY_NGINX_TLS_KEY=/etc/tagify/tls.key")
    host.shell(make.format("first"))
    host.shell(f"printf '%s\\n' {' '.join(names)} >> /etc/tagify/tagify.env; {TAGIFY} install --with-servers")
    host.wait_until("curl -sSf --cacert /etc/tagify/tls.pem https://127.0.0.1/api/tags")
    # Workers of the old configuration take connections for a moment more.
    host.wait_until(f"curl -s -o /dev/null -w '%{{http_code}}' {SITE}/api/tags | grep -q 308")
    assert "first" in host.shell(shown)
    host.shell(make.format("second"))
    host.run("systemctl", "reload", "nginx")
    host.wait_until(f"{shown} | grep -q second")


def test_all_stop_in_time_with_clients_that_stay(host: ThrowawayHost) -> None:
    host.shell(
        f"curl -sN {SITE}/api/events >/dev/null & sleep 0.5; systemctl stop tagify.target "
        "'tagify-*.service'; wait",
        timeout_s=60,
    )
    for name in SERVICES:
        assert host.unit_property(name, "Result") == "success", host.journal(name)[-2000:]
    host.run("systemctl", "start", "tagify.target")
    assert all_ready(host)


async def test_an_upgrade_under_load_fails_no_request_and_keeps_all(host: ThrowawayHost) -> None:
    workers = host.shell("pgrep -f 'nginx: worker'").split()
    host.shell("echo TAGIFY_NGINX_REQUESTS_PER_S=100000 >> /etc/tagify/tagify.env")
    host.run(TAGIFY, "install", "--with-servers")
    # Those of the old configuration take connections for a moment more, and end them when they end.
    host.wait_until(f"! kill -0 {' '.join(workers)}")
    before = (host.run("readlink", "/opt/tagify/current"), images(host))
    urls = [f"{SITE}/api/images?limit=5", f"{SITE}/api/tags", f"{SITE}/api/images/{before[1][0]['_id']}/file"]
    loads = [
        await host.start("nice", "-n19", "wrk", "-t1", "-c2", "-d600s", "--timeout", "30s", url)
        for url in urls
    ]
    await asyncio.to_thread(host.shell, MAKE_INSTALL, timeout_s=300)
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


def test_a_reboot_brings_everything_back(host: ThrowawayHost) -> None:
    before = images(host)
    host.reboot()
    host.wait_until(f"curl -sSf {SITE}/api/images", 90)
    assert images(host) == before
    host.wait_until("systemctl is-active -q " + " ".join(SERVICES))
    assert statuses(host, *media(host)) == {"200"}


def test_what_is_taken_off_leaves_settings_and_data(host: ThrowawayHost) -> None:
    host.run(TAGIFY, "uninstall", timeout_s=180)
    assert host.shell("ls /etc/systemd/system | grep tagify || true") == ""
    host.run("nginx", "-t", "-q")
    host.shell("test ! -e /opt/tagify && test -d /var/lib/tagify/mongod && test -f /etc/tagify/tagify.env")
    host.shell(MAKE_INSTALL, timeout_s=300)
    host.wait_until(f"curl -sSf '{SITE}/api/images?limit=100' | grep -q 5.jpg", 60)
    assert len(images(host)) == IMAGES
