"""The settings of the cache folder, which the edge fills and NGINX may send from."""

from pathlib import Path

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import NginxFolder


class EdgeCacheSettings(CommonSettings):
    """What the edge and NGINX must agree on."""

    edge_cache_dir: NginxFolder = Field(
        Path("/var/cache/tagify/edge"), description="Folder of the disk cache."
    )
    edge_x_accel: bool = Field(
        False,
        description="NGINX sends variants from the edge's disk cache itself (X-Accel-Redirect), "
        "and keeps no copies of them.",
    )
