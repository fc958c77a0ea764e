"""Cross-Origin-Resource-Policy of media: which pages may embed them. Sent by the edge, and by NGINX."""

from collections.abc import Sequence

RESOURCE_POLICY = "Cross-Origin-Resource-Policy"


def resource_policy(cors_origins: Sequence[str], media_base_url: str, media_port: int) -> str:
    """Pages of other sites may not embed media, unless CORS allows them or media have an origin of their own.

    With an origin of their own (no NGINX, or a CDN) the page itself is another site to browsers: they take
    two ports of one IP address for two sites.
    """
    return "cross-origin" if cors_origins or media_base_url or media_port else "same-site"
