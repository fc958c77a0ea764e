"""What `make install` does on a host that has nothing yet: first told, then done, with SeaweedFS as the store."""

from collections.abc import Iterator

import pytest

from tests.deploy.conftest import MAKE_INSTALL, SITE, bare_host, make_install
from tests.support.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.slow

PLACES = ("/etc/tagify", "/usr/local/bin/tagify", "/etc/nginx/tagify", "/var/lib/tagify")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayHost]:
    """A box where nothing is installed, without a MinIO."""
    with bare_host(tmp_path_factory.mktemp("bare"), None) as booted:
        yield booted


def test_a_dry_run_tells_all_and_does_nothing(host: ThrowawayHost) -> None:
    said = host.shell(make_install("--dry-run --with-servers"), timeout_s=300)
    for line in (
        "would file /etc/tagify/tagify.env (640, root:tagify)",
        "would file /etc/systemd/system/tagify-api@.service (644, root:root)",
        "would link /etc/nginx/sites-enabled/tagify.conf -> /etc/nginx/tagify/tagify.conf",
        "would run nginx -t -q",
        "would run systemctl enable --quiet tagify.target",
    ):
        assert line in said
    host.shell(f"for place in {' '.join(PLACES)}; do test ! -e $place; done; ! id tagify")
    assert host.shell("ls /etc/systemd/system | grep tagify || true") == ""


def test_the_wheel_serves_where_there_is_no_minio(host: ThrowawayHost) -> None:
    host.shell(MAKE_INSTALL, timeout_s=300)
    assert host.run("cat", "/var/lib/tagify/s3/server").strip() == "weed"
    body = '{"path": "/srv/photos"}'
    host.shell(f"curl -sSf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait_until(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":7'", 120)
    image = host.shell(f"curl -s '{SITE}/api/images?limit=1'").partition('"content":"')[2][:64]
    for kind in ("320.webp", "original"):
        host.shell(f"curl -sSf -o /dev/null {SITE}/media/{image}/{kind}")


def test_the_wheel_that_is_killed_is_back_with_all_it_had(host: ThrowawayHost) -> None:
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


def test_a_removal_is_told_first_too(host: ThrowawayHost) -> None:
    said = host.run("/usr/local/bin/tagify", "uninstall", "--dry-run")
    assert "would remove /opt/tagify" in said
    assert "kept: /etc/tagify, /var/lib/tagify" in said
    host.run("systemctl", "is-active", "tagify-api@1.service")
    assert host.run("/usr/local/bin/tagify", "install", "--with-servers").strip() == "nothing to do"
