"""What the application holds, by typed keys."""

from typing import Final

from aiohttp import web

from edge.cache import DiskCache
from edge.metadata_cache import Lookup
from edge.originals.presigned_redirect import Redirects
from edge.originals.upstream import Origin
from edge.variants.memory_cache import Memory
from edge.variants.service import Variants
from tagify.catalog import Catalog
from tagify.metrics import Counter
from tagify.sandbox import Sandbox
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore

SETTINGS: Final = web.AppKey("settings", EdgeSettings)
CATALOG: Final = web.AppKey("catalog", Catalog)
BLOBS: Final = web.AppKey("blobs", ObjectStore)
ORIGIN: Final = web.AppKey("origin", Origin)
REDIRECTS: Final = web.AppKey("redirects", Redirects)
LOOKUP: Final = web.AppKey("lookup", Lookup)
MEMORY: Final = web.AppKey("memory", Memory)
LAYERS: Final = web.AppKey("layers", Counter)
CACHE: Final = web.AppKey("cache", DiskCache)
VARIANTS: Final = web.AppKey("variants", Variants)
BYTES_OUT: Final = web.AppKey("bytes_out", Counter)
SANDBOX: Final = web.AppKey("sandbox", Sandbox)
