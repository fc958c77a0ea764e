"""`make install` on a bare host without MinIO: dry run, installation with SeaweedFS, dry-run removal."""

from collections.abc import Iterator

import pytest

from tests.deploy.conftest import MAKE_INSTALL, SITE, bare_host, make_install
from tests.support.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.slow

INSTALLED_PATHS = ("/etc/tagify", "/usr/local/bin/tagify", "/etc/nginx/tagify", "/var/lib/tagify")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayHost]:
    """A host where neither Tagify nor MinIO is installed."""
    with bare_host(tmp_path_factory.mktemp("bare"), None) as booted:
        yield booted


def test_dry_run_prints_the_steps_and_changes_nothing(host: ThrowawayHost) -> None:
    output = host.shell(make_install("--dry-run --with-servers"), timeout_s=300)
    for line in (
        "would write file /etc/tagify/tagify.env (640, root:tagify)",
        "would write file /etc/systemd/system/tagify-api@.service (644, root:root)",
        "would create link /etc/nginx/sites-enabled/tagify.conf -> /etc/nginx/tagify/tagify.conf",
        "would run nginx -t -q",
        "would run systemctl enable --quiet tagify.target",
    ):
        assert line in output
    host.shell(f"for path in {' '.join(INSTALLED_PATHS)}; do test ! -e $path; done; ! id tagify")
    assert host.shell("ls /etc/systemd/system | grep tagify || true") == ""


def test_seaweedfs_is_installed_without_minio(host: ThrowawayHost) -> None:
    host.shell(MAKE_INSTALL, timeout_s=300)
    assert host.run("cat", "/var/lib/tagify/s3/server").strip() == "weed"
    body = '{"path": "/srv/photos"}'
    host.shell(f"curl -sSf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait_until(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":7'", 120)
    image = host.shell(f"curl -s '{SITE}/api/images?limit=1'").partition('"content":"')[2][:64]
    for kind in ("320.webp", "original"):
        host.shell(f"curl -sSf -o /dev/null {SITE}/media/{image}/{kind}")


def test_killed_seaweedfs_is_restarted_with_its_data(host: ThrowawayHost) -> None:
    before = host.unit_property("tagify-s3", "MainPID")
    host.run("kill", "-KILL", before)
    host.wait_until(
        f"[ $(systemctl show -P MainPID tagify-s3) != {before} ] && systemctl is-active -q tagify-s3", 120
    )
    host.wait_until(
        f"curl -sSf {SITE}/api/images >/dev/null && curl -sSf http://127.0.0.1:8089/edge/1/readyz", 60
    )
    image = host.shell(f"curl -s '{SITE}/api/images?limit=1'").partition('"content":"')[2][:64]
    host.wait_until(f"curl -sSf -o /dev/null {SITE}/media/{image}/160.jpg", 60)


def test_dry_run_of_uninstall_changes_nothing(host: ThrowawayHost) -> None:
    output = host.run("/usr/local/bin/tagify", "uninstall", "--dry-run")
    assert "would remove /opt/tagify" in output
    assert "kept: /etc/tagify, /var/lib/tagify" in output
    host.run("systemctl", "is-active", "tagify-api@1.service")
    assert host.run("/usr/local/bin/tagify", "install", "--with-servers").strip() == "nothing to do"
