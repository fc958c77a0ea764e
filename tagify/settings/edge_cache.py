"""The settings of the edge's disk cache, which NGINX shares if it sends the files."""

from pathlib import Path

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import NginxFolder


class EdgeCacheSettings(CommonSettings):
    """Settings that the edge and NGINX must agree on."""

    edge_cache_dir: NginxFolder = Field(
        Path("/var/cache/tagify/edge"), description="Folder of the disk cache."
    )
    edge_x_accel: bool = Field(
        False,
        description="NGINX sends variants from the edge's disk cache (X-Accel-Redirect) "
        "instead of caching copies.",
    )
