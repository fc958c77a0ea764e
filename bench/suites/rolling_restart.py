"""A rolling restart under load, in figures.

`python -m bench.suites.rolling_restart` (as root; boots a throwaway host).

Prints how long `tagify restart` takes for all services, and how many requests were made and
failed while it ran: lists, tags and originals by wrk, through NGINX.
"""

import asyncio
import re
import shutil
import tempfile
import time
from pathlib import Path

from tests.deploy.conftest import MAKE_INSTALL, SITE
from tests.support import pictures, release
from tests.support.throwaway_host import ThrowawayHost, throwaway_host, unsupported_reason

IMAGES = 200


async def measure(host: ThrowawayHost) -> None:
    body = '{"path": "/srv/photos"}'
    host.shell("echo TAGIFY_NGINX_REQUESTS_PER_S=1000000 >> /etc/tagify/tagify.env")
    host.run("/usr/local/bin/tagify", "install", "--with-servers")
    host.shell(f"curl -sf -H 'Content-Type: application/json' -d '{body}' {SITE}/api/libraries")
    host.wait_until(f"curl -s '{SITE}/api/libraries' | grep -q '\"indexed_count\":{IMAGES}'", 120)
    image = host.shell(f"curl -s '{SITE}/api/images?limit=1'").partition('"_id":"')[2][:24]
    urls = (f"{SITE}/api/images?limit=60", f"{SITE}/api/tags", f"{SITE}/api/images/{image}/file")
    loads = [await host.start("wrk", "-t1", "-c8", "-d60s", "--timeout", "30s", url) for url in urls]
    await asyncio.sleep(5)
    start = time.monotonic()
    await asyncio.to_thread(host.run, "/usr/local/bin/tagify", "restart")
    print(f"rolling restart of five services: {time.monotonic() - start:.1f} s")
    asked = failed = 0
    for load in loads:
        out = (await load.communicate())[0].decode()
        asked += int(re.findall(r"(\d+) requests in", out)[0])
        failed += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
        for errors in re.findall(r"Socket errors: (.*)", out):
            failed += sum(map(int, re.findall(r"\d+", errors)))
    print(f"requests meanwhile: {asked:,}, failed: {failed}")


def main() -> None:
    if why := unsupported_reason():
        print(f"no rolling restart is measured: {why}")
        return
    folder = Path(tempfile.mkdtemp())
    try:
        rootfs = folder / "rootfs"
        release.copy_working_tree(rootfs / "usr/src/tagify")
        shutil.copytree(release.build_wheels(), rootfs / "opt/wheels")
        library = rootfs / "srv/photos"
        library.mkdir(parents=True)
        for number in range(IMAGES):
            (library / f"{number}.jpg").write_bytes(pictures.jpeg(1600, 1200, seed=number))
        with throwaway_host(folder / "box", rootfs) as host:
            host.shell(MAKE_INSTALL, timeout_s=300)
            asyncio.run(measure(host))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
