"""What the application holds, by typed keys."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from api.events import Events
from api.index_builder import Indexing
from api.presigned_urls import StoreUrls
from api.serializers import Items
from api.static_pages import PageFile
from tagify.catalog import Catalog
from tagify.concurrency.coalesce import Shared
from tagify.concurrency.thread_pool import Threads
from tagify.metrics import Counter
from tagify.settings import ApiSettings
from tagify.web import JsonBody

SETTINGS: Final = web.AppKey("settings", ApiSettings)
CATALOG: Final = web.AppKey("catalog", Catalog)
STORE_URLS: Final = web.AppKey("store_urls", StoreUrls)
ITEMS: Final = web.AppKey("items", Items)
EVENTS: Final = web.AppKey("events", Events)
INDEXING: Final = web.AppKey("indexing", Indexing)
SHARED: Final = web.AppKey("shared", Shared[JsonBody])
OPENAPI: Final = web.AppKey("openapi", JsonBody)
DOCS: Final = web.AppKey("docs", Mapping[str, PageFile])
PAGES: Final = web.AppKey("pages", Mapping[str, PageFile])
DISK: Final = web.AppKey("disk", Threads)
OFFSET_USES: Final = web.AppKey("offset_uses", Counter)
