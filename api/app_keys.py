"""Typed keys of the objects stored in the application."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from api.events import EventHub
from api.folder_threads import FolderThreads
from api.index_builder import IndexBuilder
from api.presigned_urls import PresignedUrls
from api.serializers import Serializer
from api.static_pages import StaticFile
from tagify.catalog import Catalog
from tagify.concurrency.coalesce import ReadCoalescer
from tagify.metrics import Counter
from tagify.settings import ApiSettings
from tagify.web import JsonBody

SETTINGS: Final = web.AppKey("settings", ApiSettings)
CATALOG: Final = web.AppKey("catalog", Catalog)
PRESIGNED_URLS: Final = web.AppKey("presigned_urls", PresignedUrls)
SERIALIZER: Final = web.AppKey("serializer", Serializer)
EVENT_HUB: Final = web.AppKey("event_hub", EventHub)
INDEX_BUILDER: Final = web.AppKey("index_builder", IndexBuilder)
COALESCER: Final = web.AppKey("coalescer", ReadCoalescer[JsonBody])
OPENAPI_DOCUMENT: Final = web.AppKey("openapi_document", JsonBody)
REFERENCE_FILES: Final = web.AppKey("reference_files", Mapping[str, StaticFile])
GALLERY_FILES: Final = web.AppKey("gallery_files", Mapping[str, StaticFile])
FOLDER_THREADS: Final = web.AppKey("folder_threads", FolderThreads)
OFFSET_COUNTER: Final = web.AppKey("offset_counter", Counter)
