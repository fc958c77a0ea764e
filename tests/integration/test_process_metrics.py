"""The metrics of the process where /proc shows only processes, as in the units with ProcSubset=pid."""

import asyncio
import sys
import time

from prometheus_client.parser import text_string_to_metric_families

from tests.support.mounts import mount_namespace

PRINT_METRICS = """
import asyncio
from tagify.metrics import Metrics
from tagify.web.resource_metrics import add_process_metrics

metrics = Metrics()
add_process_metrics(metrics)
asyncio.run(metrics.refresh())
print(metrics.exposition()[0].decode())
"""


async def test_process_metrics_need_no_more_of_proc_than_the_processes() -> None:
    async with mount_namespace(as_root=True) as mounts:
        await mounts.run("mount", "-t", "proc", "-o", "subset=pid", "proc", "/proc")
        process = await asyncio.create_subprocess_exec(
            *mounts.command_inside(sys.executable, "-c", PRINT_METRICS), stdout=asyncio.subprocess.PIPE
        )
        page, _ = await process.communicate()
    value = {family.name: family.samples[0].value for family in text_string_to_metric_families(page.decode())}
    assert abs(time.time() - value["process_start_time_seconds"]) < 60
    assert value["process_resident_memory_bytes"] > 1_000_000
    assert value["process_open_fds"] >= 3
