"""The metrics of each service, read by Prometheus's own parser."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from yarl import URL

import api.app
import edge.app
from tagify import __version__
from tagify.catalog import Catalog
from tagify.model import ImageState
from tagify.settings import ApiSettings, EdgeSettings
from tests.conftest import Values
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ports import free_ports
from tests.unit.test_docs import documented_metrics

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

Page = dict[str, Metric]


async def scrape(base: URL, *paths: str) -> Page:
    """The metric families after these requests; the parser refuses a page that is malformed."""
    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(base / path) as response:
                await response.read()
        async with session.request("PROPFIND", base / "livez") as response:
            assert response.status == 405
        async with session.get(base / "metrics") as response:
            assert response.content_type == "text/plain"
            text = await response.text()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return dict(zip(names, families, strict=True))


def value(page: Page, family: str, sample: str = "", **labels: str) -> float:
    """The sum of the samples that have these labels."""
    return sum(
        item.value
        for item in page[family].samples
        if item.name == (sample or family) and labels.items() <= item.labels.items()
    )


def check_page(page: Page) -> None:
    """Every family has a help text and its documented type; series are unique, buckets cumulative."""
    documented = documented_metrics()
    for family in page.values():
        assert family.documentation
        series = [(item.name, *sorted(item.labels.items())) for item in family.samples]
        assert len(series) == len(set(series)), family.name
        if family.documentation.startswith("Old name of "):
            continue
        exported = family.name + ("_total" if family.type == "counter" else "")
        kind, labels = documented[exported]
        assert kind == family.type, exported
        assert {name for item in family.samples for name in item.labels} <= labels | {"le"}, exported
        if family.type == "histogram":
            check_buckets(family)


def check_buckets(family: Metric) -> None:
    buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for item in (item for item in family.samples if item.name.endswith("_bucket")):
        labels = tuple(sorted((name, text) for name, text in item.labels.items() if name != "le"))
        buckets.setdefault(labels, []).append((float(item.labels["le"]), item.value))
    for labels, counted in buckets.items():
        ordered = [count for _, count in sorted(counted)]
        assert ordered == sorted(ordered)
        assert ordered[-1] == value(
            {family.name: family}, family.name, f"{family.name}_count", **dict(labels)
        )


def check_every_service(page: Page, route: str) -> None:
    check_page(page)
    requests, old = "tagify_http_request_seconds", "http_request_seconds"
    assert value(page, requests, f"{requests}_count", method="GET", route=route) == 1
    assert value(page, requests, f"{requests}_count", method="other") == 1
    assert value(page, old, f"{old}_count") == value(page, requests, f"{requests}_count")
    assert value(page, "tagify_build_info", version=__version__) == 1
    assert value(page, "process_resident_memory_bytes") > 10_000_000
    assert value(page, "process_cpu_seconds", "process_cpu_seconds_total") > 0
    assert 3 < value(page, "process_open_fds") < value(page, "process_max_fds")
    assert value(page, "process_start_time_seconds") > 1_600_000_000
    assert value(page, "tagify_mongo_pool_connections", state="open") >= 1
    assert value(page, "tagify_mongo_pool_connections", state="in_use") >= 0
    assert value(page, "tagify_mongo_pool_wait_seconds", "tagify_mongo_pool_wait_seconds_count") >= 1


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[URL]:
    async with TestServer(app) as server:
        yield server.make_url("/")


async def test_metrics_of_the_api(catalog: Catalog, mongo_values: Values, s3_values: Values) -> None:
    async with served(api.app.build(ApiSettings(**mongo_values, **s3_values))) as base:
        page = await scrape(base, "api/tags")
    check_every_service(page, "/api/tags")
    assert not [name for name in page if name.startswith("tagify_disk_")]


async def test_metrics_of_the_edge(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    settings = EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path, edge_port=free_ports())
    async with served(edge.app.build(settings)) as base:
        page = await scrape(base, "readyz", f"media/{'0' * 64}/original")
    check_every_service(page, "/media/{content}/original")
    assert value(page, "tagify_disk_free_bytes", folder=str(tmp_path)) > 0
    assert value(page, "tagify_disk_size_bytes") >= value(page, "tagify_disk_free_bytes")
    s3 = "tagify_s3_operation_seconds"
    assert value(page, s3, f"{s3}_count", operation="head_bucket", outcome="ok") >= 1


async def test_metrics_of_ingest_count_the_files_of_each_library(harness: IngestHarness) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    (harness.root / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    async with harness.running_ingest() as running:
        await harness.wait_for_images("a.jpg")
        await harness.wait_for_images("bad.jpg", state=ImageState.FAILED)
        page = await scrape(running.make_url("/"), "readyz")
    check_every_service(page, "/readyz")
    library = (await harness.load_library()).id
    assert files_by_state(page["tagify_library_files"].samples, library) == {
        "indexed": 1, "failed": 1, "damaged": 0,
    }  # fmt: skip
    assert value(page, "tagify_ingest_oldest_file_seconds") == 0
    s3 = "tagify_s3_operation_seconds"
    assert value(page, s3, f"{s3}_count", operation="put", outcome="ok") >= 2


def files_by_state(samples: Iterable[Sample], library: str) -> dict[str, float]:
    return {item.labels["state"]: item.value for item in samples if item.labels["library"] == library}
