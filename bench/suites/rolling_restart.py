"""A rolling restart under load: `python -m bench.suites.rolling_restart` (as root; boots a throwaway host).

Measures the duration of `tagify restart` for all services, and the number of requests made and failed
meanwhile: lists, tags and originals, by wrk through NGINX.
"""

import asyncio
import re
import shutil
import tempfile
import time
from pathlib import Path

from bench.lib.results import Results, recorded
from tests.deploy.conftest import MAKE_INSTALL, SITE
from tests.support import pictures, release
from tests.support.throwaway_host import ThrowawayHost, throwaway_host, unsupported_reason

IMAGES = 200


async def measure(host: ThrowawayHost, results: Results) -> None:
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
    seconds = time.monotonic() - start
    print(f"rolling restart of five services: {seconds:.1f} s")
    requests = failed = 0
    for load in loads:
        output = (await load.communicate())[0].decode()
        requests += int(re.findall(r"(\d+) requests in", output)[0])
        failed += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", output)))
        for errors in re.findall(r"Socket errors: (.*)", output):
            failed += sum(map(int, re.findall(r"\d+", errors)))
    results.figures("tagify restart", seconds=seconds, requests=requests, failed=failed)
    print(f"requests meanwhile: {requests:,}, failed: {failed}")


def main() -> None:
    if reason := unsupported_reason():
        print(f"the rolling restart is not measured: {reason}")
        return
    folder = Path(tempfile.mkdtemp())
    try:
        rootfs = folder / "rootfs"
        release.copy_working_tree(rootfs / "usr/src/tagify")
        shutil.copytree(release.download_packages(), rootfs / "opt/wheels")
        library = rootfs / "srv/photos"
        library.mkdir(parents=True)
        for number in range(IMAGES):
            (library / f"{number}.jpg").write_bytes(pictures.jpeg(1600, 1200, seed=number))
        with throwaway_host(folder / "box", rootfs) as host:
            host.shell(MAKE_INSTALL, timeout_s=300)
            with recorded("rolling_restart") as results:
                asyncio.run(measure(host, results))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
