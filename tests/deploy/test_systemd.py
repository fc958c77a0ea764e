"""Tagify on a throwaway host: installed by `make install`, run by systemd, behind NGINX.

All tests share the host and run in order; each leaves everything running.
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
    """The HTTP statuses of these URLs, requested in sequence."""
    curl = f"curl -s -o /dev/null -w '%{{http_code}}\\n' {options}"
    return set(host.shell(f"for url in {' '.join(urls)}; do {curl} $url; done").split())


def images(host: ThrowawayHost) -> list[dict[str, str]]:
    items: list[dict[str, str]] = json.loads(host.shell(f"curl -s '{SITE}/api/images?limit=100'"))["items"]
    return items


def all_ready(host: ThrowawayHost) -> bool:
    return all(host.unit_property(name, "ActiveState") == "active" for name in SERVICES)


def media(host: ThrowawayHost) -> Sequence[str]:
    return [
        f"{SITE}/media/{image['content']}/{kind}"
        for image in images(host)
        for kind in ("320.webp", "original")
    ]


def test_installed_host_imports_and_serves_a_library(host: ThrowawayHost) -> None:
    assert all_ready(host)
    body = '{"path": "/srv/photos", "name": "Photos"}'
    host.shell(f"curl -sSf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait_until(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":{IMAGES}'")
    assert len(images(host)) == IMAGES
    assert statuses(host, f"{SITE}/", *media(host)) == {"200"}
    assert statuses(host, f"{SITE}/metrics", f"{SITE}/readyz") == {"404"}
    internal = "http://127.0.0.1:8089"
    pages = [f"{internal}/{name}/readyz" for name in ("api/1", "api/2", "edge/1", "edge/2", "ingest/1")]
    assert statuses(host, *pages) == {"200"}
    assert statuses(host, f"{internal}/purge") == {"204"}
    assert host.run("cat", "/var/lib/tagify/s3/server").strip() == "minio"
    assert [host.unit_property(name, "ActiveState") for name in SERVERS] == ["active"] * 2


def test_settings_file_has_every_setting_and_credentials_belong_to_root(host: ThrowawayHost) -> None:
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
def test_passwords_are_credentials_readable_by_the_service_only(host: ThrowawayHost, unit: str) -> None:
    pid = host.unit_property(unit, "MainPID")
    assert b"mongodb://" not in host.run("cat", f"/proc/{pid}/environ").encode()
    credential = f"/run/credentials/{unit}.service/tagify_mongo_uri"
    service = unit.removeprefix("tagify-").partition("@")[0]
    uri = host.run("cat", credential)
    assert uri == host.run("cat", f"/etc/tagify/credentials/{service}/tagify_mongo_uri")
    assert uri.startswith(f"mongodb://tagify-{service}:")
    code, _ = host.run_unchecked("runuser", "-u", "www-data", "--", "cat", credential)
    assert code == 1


@pytest.mark.parametrize("unit", (*SERVICES, *SERVERS))
def test_memory_and_tasks_are_limited_by_the_kernel(host: ThrowawayHost, unit: str) -> None:
    group = host.unit_property(unit, "ControlGroup")
    memory = host.run("cat", f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes").strip()
    tasks = host.run("cat", f"/sys/fs/cgroup/pids{group}/pids.max").strip()
    assert (memory, tasks) == (host.unit_property(unit, "MemoryMax"), host.unit_property(unit, "TasksMax"))
    assert memory.isdigit()
    assert tasks.isdigit()
    expected_policy = "continue" if unit.startswith(("tagify-edge", "tagify-ingest")) else "stop"
    assert host.unit_property(unit, "OOMPolicy") == expected_policy


def test_install_is_idempotent(host: ThrowawayHost) -> None:
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
def test_security_exposure_is_low(host: ThrowawayHost, unit: str, limit: float) -> None:
    output = host.run("systemd-analyze", "security", "--no-pager", unit)
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", output)
    assert match
    assert float(match[1]) <= limit


@pytest.mark.parametrize("unit", SERVICES)
def test_sandbox_is_active(host: ThrowawayHost, unit: str) -> None:
    pid = host.unit_property(unit, "MainPID")
    status = host.run("cat", f"/proc/{pid}/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"):
        assert line in status
    for path in ("/srv/photos/x", "/etc/x", "/opt/tagify/x", "/usr/x"):
        code, output = host.run_unchecked("nsenter", "-t", pid, "-m", "touch", path)
        assert (code, "Read-only file system" in output) == (1, True), path


@pytest.mark.parametrize("unit", SOCKETS)
def test_connection_starts_a_stopped_service(host: ThrowawayHost, unit: str) -> None:
    host.run("systemctl", "stop", f"{unit}.service")
    assert host.unit_property(f"{unit}.service", "ActiveState") == "inactive"
    assert statuses(host, "http://x/livez", options=f"--unix-socket {SOCKETS[unit]}") == {"200"}
    host.wait_until(f"systemctl is-active -q {unit}.service")


@pytest.mark.parametrize("unit", SOCKETS)
def test_requests_are_queued_during_a_restart(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    curl = f"curl -s -o /dev/null -w '%{{http_code}}\\n' --unix-socket {SOCKETS[unit]} http://x/livez"
    output = host.shell(
        f"systemctl restart {unit}.service & for n in $(seq 40); do {curl} & sleep 0.05; done; wait; "
        f"systemctl is-active {unit}.service"
    ).split()
    assert output == ["200"] * 40 + ["active"]
    assert host.unit_property(unit, "MainPID") != before


UPLOAD = """
import socket, subprocess
body = b'["held"]'
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(60)
    client.connect("/run/tagify/api-1.sock")
    head = "POST /api/tags/apply/%s HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
    client.sendall((head % ("{image}", len(body))).encode() + body[:3])
    restart = subprocess.Popen(["systemctl", "restart", "tagify-api@1.service"])
    while "deactivating" not in subprocess.run(
        ["systemctl", "is-active", "tagify-api@1.service"], capture_output=True, text=True
    ).stdout:
        pass
    client.sendall(body[3:])
    response = b""
    while part := client.recv(4096):
        response += part
    print(response.decode().splitlines()[0], restart.wait())
"""


DOWNLOAD = """
import socket, subprocess
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(60)
    client.connect("/run/tagify/edge-1.sock")
    client.sendall(b"GET /media/{content}/original HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    response = client.recv(65536)
    restart = subprocess.Popen(["systemctl", "restart", "tagify-edge@1.service"])
    while "deactivating" not in subprocess.run(
        ["systemctl", "is-active", "tagify-edge@1.service"], capture_output=True, text=True
    ).stdout:
        pass
    while part := client.recv(65536):
        response += part
    print(len(response.partition(b"\\r\\n\\r\\n")[2]), restart.wait())
"""


def test_running_download_completes_during_a_restart(host: ThrowawayHost) -> None:
    (content,) = [image["content"] for image in images(host) if image["path"] == "0.jpg"]
    output = host.run("/opt/tagify/current/bin/python", "-c", DOWNLOAD.replace("{content}", content))
    assert output.split() == [str(LARGE), "0"]


def test_running_request_completes_during_a_restart(host: ThrowawayHost) -> None:
    image = images(host)[0]["_id"]
    output = host.run("/opt/tagify/current/bin/python", "-c", UPLOAD.replace("{image}", image))
    assert output.split() == ["HTTP/1.1", "200", "OK", "0"]
    assert "held" in host.shell(f"curl -s {SITE}/api/images/{image}")


@pytest.mark.parametrize("unit", SERVICES)
def test_killed_service_is_restarted_without_a_failed_request(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    urls = [*media(host), f"{SITE}/api/tags", f"{SITE}/api/images"]
    host.run("kill", "-KILL", before)
    assert statuses(host, *(urls * 3)) == {"200"}
    host.wait_until(
        f"systemctl is-active -q {unit}.service && [ $(systemctl show -P MainPID {unit}) != {before} ]"
    )


@pytest.mark.parametrize("unit", SERVERS)
def test_killed_server_is_restarted_and_services_recover(host: ThrowawayHost, unit: str) -> None:
    before, services = (
        host.unit_property(unit, "MainPID"),
        [host.unit_property(name, "MainPID") for name in SERVICES],
    )
    host.run("kill", "-KILL", before)
    host.wait_until(
        f"systemctl is-active -q {unit} && [ $(systemctl show -P MainPID {unit}) != {before} ]", 120
    )
    internal = "http://127.0.0.1:8089"
    for page in ("api/1", "api/2", "edge/1", "edge/2", "ingest/1"):
        host.wait_until(f"curl -sSf {internal}/{page}/readyz", 60)
    urls = [*media(host), *(f"{SITE}/media/{image['content']}/160.jpg" for image in images(host))]
    assert statuses(host, *urls) == {"200"}
    assert [host.unit_property(name, "MainPID") for name in SERVICES] == services


def test_edge_survives_a_killed_decoding_process(host: ThrowawayHost) -> None:
    before = host.unit_property("tagify-edge@1", "MainPID")
    group = host.unit_property("tagify-edge@1", "ControlGroup")
    pids = host.run("cat", f"/sys/fs/cgroup/pids{group}/cgroup.procs").split()
    workers = [pid for pid in pids if pid != before]
    assert workers
    host.run("kill", "-KILL", *workers)
    content = images(host)[0]["content"]
    url = f"http://localhost/media/{content}/512.avif"
    curl = f"curl -sSf -o /dev/null --unix-socket {SOCKETS['tagify-edge@1']} {url}"
    host.wait_until(curl, 60)
    assert host.unit_property("tagify-edge@1", "MainPID") == before


STUCK = (
    "import runpy, signal, time; "
    "signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600)); "
    "runpy.run_module('{name}', run_name='__main__')"
)
"""The service with a signal handler that blocks its event loop: the process stays alive."""


@pytest.mark.parametrize("unit", ["tagify-ingest", "tagify-api@2", "tagify-edge@2"])
def test_watchdog_restarts_a_stuck_event_loop(host: ThrowawayHost, unit: str) -> None:
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
def test_reload_applies_settings_without_a_restart(host: ThrowawayHost, unit: str) -> None:
    before = host.unit_property(unit, "MainPID")
    host.shell(f"echo TAGIFY_LOG_LEVEL=debug >> /etc/tagify/tagify.env; systemctl reload {unit}")
    host.wait_until(f"journalctl -u {unit} -o cat | grep -q 'settings reloaded: log_level'")
    host.shell(f"sed -i /^TAGIFY_LOG_LEVEL/d /etc/tagify/tagify.env; systemctl reload {unit}")
    host.wait_until(f"systemctl is-active -q {unit}")
    assert host.unit_property(unit, "MainPID") == before


def test_journal_has_structured_log_lines(host: ThrowawayHost) -> None:
    lines = [line for line in host.journal("tagify-edge@1").splitlines() if line.startswith("{")]
    entry = json.loads(lines[-1])
    assert entry["service"] == "edge"
    assert {"time", "level", "message"} <= entry.keys()
    fields = host.run("journalctl", "-u", "tagify-edge@1", "-o", "json", "-n", "1")
    assert json.loads(fields)["SYSLOG_IDENTIFIER"].startswith(("tagify-edge-1", "systemd"))


def test_journal_selects_warnings_by_priority(host: ThrowawayHost) -> None:
    content = next(image["content"] for image in images(host) if image["path"] != "0.jpg")
    url = f"http://localhost/media/{content}/original"
    edge_socket = SOCKETS["tagify-edge@1"]
    host.shell("systemctl kill -s STOP tagify-s3")
    host.shell(
        f"curl -s -m 30 -o /dev/null --unix-socket {edge_socket} {url}; systemctl kill -s CONT tagify-s3"
    )
    host.wait_until(f"curl -sSf -o /dev/null --unix-socket {edge_socket} {url}", 60)
    severe = host.run("journalctl", "-u", "tagify-*", "-p", "warning", "-o", "cat", "--no-pager").splitlines()
    entries = [json.loads(line) for line in severe if line.startswith("{")]
    assert [entry for entry in entries if entry["message"].startswith("server unavailable: S3")]
    assert {entry["level"] for entry in entries if "level" in entry} <= {"warning", "error"}
    everything = host.run("journalctl", "-u", "tagify-*", "-o", "cat", "--no-pager")
    for chatter in ("urllib3", "Traceback", "reconnection loop", "<4>", "<6>"):
        assert chatter not in everything, chatter


def test_nightly_maintenance_succeeds(host: ThrowawayHost) -> None:
    host.run("systemctl", "start", "tagify-maintenance.service", timeout_s=180)
    assert host.unit_property("tagify-maintenance.service", "Result") == "success"
    assert "every count is exact" in host.journal("tagify-maintenance.service")
    assert host.unit_property("tagify-maintenance.timer", "ActiveState") == "active"


@pytest.fixture
def remove_certificates(host: ThrowawayHost) -> Iterator[None]:
    """Remove the certificate from NGINX's configuration after the test."""
    yield
    host.shell(
        f"sed -i /TLS_CERTIFICATE=.etc/d\\;/TLS_KEY=.etc/d /etc/tagify/tagify.env; {TAGIFY} install --with-servers"
    )
    host.wait_until(f"curl -sSf {SITE}/api/tags")


@pytest.mark.usefixtures("remove_certificates")
def test_certificate_enables_https_and_a_reload_renews_it(host: ThrowawayHost) -> None:
    generate = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={} "
        "-addext subjectAltName=IP:127.0.0.1 -keyout /etc/tagify/tls.key -out /etc/tagify/tls.pem 2>/dev/null"
    )
    print_subject = (
        "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -subject"
    )
    names = ("TAGIFY_NGINX_TLS_CERTIFICATE=/etc/tagify/tls.pem", "TAGIFY_NGINX_TLS_KEY=/etc/tagify/tls.key")
    host.shell(generate.format("first"))
    host.shell(f"printf '%s\\n' {' '.join(names)} >> /etc/tagify/tagify.env; {TAGIFY} install --with-servers")
    host.wait_until("curl -sSf --cacert /etc/tagify/tls.pem https://127.0.0.1/api/tags")
    # Workers with the old configuration accept connections a moment longer.
    host.wait_until(f"curl -s -o /dev/null -w '%{{http_code}}' {SITE}/api/tags | grep -q 308")
    assert "first" in host.shell(print_subject)
    host.shell(generate.format("second"))
    host.run("systemctl", "reload", "nginx")
    host.wait_until(f"{print_subject} | grep -q second")


def test_services_stop_in_time_with_connected_clients(host: ThrowawayHost) -> None:
    host.shell(
        f"curl -sN {SITE}/api/events >/dev/null & sleep 0.5; systemctl stop tagify.target "
        "'tagify-*.service'; wait",
        timeout_s=60,
    )
    for name in SERVICES:
        assert host.unit_property(name, "Result") == "success", host.journal(name)[-2000:]
    host.run("systemctl", "start", "tagify.target")
    assert all_ready(host)


async def test_upgrade_under_load_fails_no_request(host: ThrowawayHost) -> None:
    workers = host.shell("pgrep -f 'nginx: worker'").split()
    host.shell("echo TAGIFY_NGINX_REQUESTS_PER_S=100000 >> /etc/tagify/tagify.env")
    host.run(TAGIFY, "install", "--with-servers")
    # Workers with the old configuration accept connections a moment longer, and close them when they exit.
    host.wait_until(f"! kill -0 {' '.join(workers)}")
    before = (host.run("readlink", "/opt/tagify/current"), images(host))
    urls = [f"{SITE}/api/images?limit=5", f"{SITE}/api/tags", f"{SITE}/api/images/{before[1][0]['_id']}/file"]
    loads = [
        await host.start("nice", "-n19", "wrk", "-t1", "-c2", "-d600s", "--timeout", "30s", url)
        for url in urls
    ]
    await asyncio.to_thread(host.shell, MAKE_INSTALL, timeout_s=300)
    # Keep the load for two seconds after the upgrade; wrk reports when it is interrupted.
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


def test_reboot_restarts_everything(host: ThrowawayHost) -> None:
    before = images(host)
    host.reboot()
    host.wait_until(f"curl -sSf {SITE}/api/images", 90)
    assert images(host) == before
    host.wait_until("systemctl is-active -q " + " ".join(SERVICES))
    assert statuses(host, *media(host)) == {"200"}


def test_uninstall_keeps_settings_and_data(host: ThrowawayHost) -> None:
    host.run(TAGIFY, "uninstall", timeout_s=180)
    assert host.shell("ls /etc/systemd/system | grep tagify || true") == ""
    host.run("nginx", "-t", "-q")
    host.shell("test ! -e /opt/tagify && test -d /var/lib/tagify/mongod && test -f /etc/tagify/tagify.env")
    host.shell(MAKE_INSTALL, timeout_s=300)
    host.wait_until(f"curl -sSf '{SITE}/api/images?limit=100' | grep -q 5.jpg", 60)
    assert len(images(host)) == IMAGES
