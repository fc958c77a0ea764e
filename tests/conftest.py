"""Shared fixtures: real servers, and a separate database and key prefix for each test."""

import gc
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tagify.catalog import Catalog
from tagify.model import Library
from tagify.servers.s3 import S3Server
from tagify.settings import CommonSettings, IngestSettings
from tagify.storage.store import ObjectStore
from tests.support.command_deadlines import recorded_unbounded_commands
from tests.support.ingest_harness import IngestHarness
from tests.support.servers import Servers

Values = dict[str, Any]

# Test workers share two cores with servers: hypothesis' limits on wall-clock time would measure the other load.
hypothesis.settings.register_profile(
    "no time limits", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("no time limits")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    started = Servers(tmp_path_factory.mktemp("servers"))
    yield started
    started.close()


@pytest.fixture(params=["minio", "seaweedfs"])
def s3(request: pytest.FixtureRequest, servers: Servers) -> S3Server:
    """Tests that use S3 run once for each server."""
    return servers.s3(request.param)


@pytest.fixture
def mongo_values(servers: Servers) -> Iterator[Values]:
    """Settings of an empty database for one test; dropped afterwards."""
    uri, name = servers.mongo_uri(), f"test-{secrets.token_hex(6)}"
    yield {"mongo_uri": uri, "mongo_database": name}
    servers.drop_database(name)


@pytest.fixture
def s3_values(s3: S3Server) -> Values:
    """Settings of a key prefix for one test."""
    return {**s3.settings, "s3_key_prefix": f"{secrets.token_hex(6)}/"}


@pytest.fixture
async def catalog(mongo_values: Values) -> AsyncIterator[Catalog]:
    opened = Catalog(CommonSettings(**mongo_values))
    await opened.ensure_indexes()
    yield opened
    await opened.close()


@pytest.fixture
async def library(catalog: Catalog) -> Library:
    """A library in the catalog, without a folder."""
    return await catalog.libraries.create("Test", "/srv/test")


@pytest.fixture
async def blobs(s3_values: Values) -> AsyncIterator[ObjectStore]:
    opened = ObjectStore(CommonSettings(**s3_values))
    await opened.ensure_buckets()
    yield opened
    await opened.close()


@pytest.fixture
async def harness(
    tmp_path: Path, catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values
) -> IngestHarness:
    root = tmp_path / "library"
    root.mkdir()
    library = await catalog.libraries.create("Test", str(root))
    settings = IngestSettings(
        **mongo_values, **s3_values, ingest_settle_s=0.1, ingest_workers=2, max_pixels=20_000_000
    )
    return IngestHarness(root, catalog, library, settings)


@pytest.fixture(autouse=True)
def _unset_tagify_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the test only, not from the developer's environment."""
    for name in [name for name in os.environ if name.startswith("TAGIFY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def garbage_collected() -> Iterator[None]:
    """Collect garbage at the end of the test, so that its unclosed resources are reported for it."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _check_command_deadlines() -> Iterator[None]:
    """Fail a test whose MongoDB commands include one without a deadline."""
    with recorded_unbounded_commands() as unbounded:
        yield
    assert unbounded == []
