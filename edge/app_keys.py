"""Typed keys of the objects that the application holds."""

from typing import Final

from aiohttp import web

from edge.cache import DiskCache
from edge.metadata_cache import MetadataCache
from edge.originals.presigned_redirect import PresignedRedirect
from edge.originals.upstream import Upstream
from edge.variants.memory_cache import MemoryCache
from edge.variants.service import VariantService
from tagify.catalog import Catalog
from tagify.metrics import Counter
from tagify.sandbox import Sandbox
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore

SETTINGS: Final = web.AppKey("settings", EdgeSettings)
CATALOG: Final = web.AppKey("catalog", Catalog)
OBJECT_STORE: Final = web.AppKey("object_store", ObjectStore)
UPSTREAM: Final = web.AppKey("upstream", Upstream)
PRESIGNED_REDIRECT: Final = web.AppKey("presigned_redirect", PresignedRedirect)
METADATA_CACHE: Final = web.AppKey("metadata_cache", MetadataCache)
MEMORY_CACHE: Final = web.AppKey("memory_cache", MemoryCache)
VARIANT_RESPONSES: Final = web.AppKey("variant_responses", Counter)
DISK_CACHE: Final = web.AppKey("disk_cache", DiskCache)
VARIANT_SERVICE: Final = web.AppKey("variant_service", VariantService)
BYTES_OUT: Final = web.AppKey("bytes_out", Counter)
SANDBOX: Final = web.AppKey("sandbox", Sandbox)
