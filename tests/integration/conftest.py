"""An API over the catalog of a test."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from api.app import build
from tagify.settings import ApiSettings
from tests.conftest import Values
from tests.support.waiting import until_ready

Client = TestClient[Any, Any]


@pytest.fixture
async def client(aiohttp_client: Callable[..., Awaitable[Client]], mongo_values: Values) -> Client:
    client_ = await aiohttp_client(build(ApiSettings(**mongo_values)))
    await until_ready(client_)
    return client_
