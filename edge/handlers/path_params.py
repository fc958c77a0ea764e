"""Path parameters of media routes: a content hash, or the id of an image."""

from aiohttp import web

from edge.app_keys import METADATA_CACHE
from edge.http.headers import IMMUTABLE, REVALIDATE
from tagify.errors import NotFound
from tagify.model import Content, Image, ImageId, ImageState, is_content, is_id


def content_param(request: web.Request) -> Content:
    """The parameter `content`. Raises NotFound where it is no content hash."""
    text = request.match_info["content"]
    if not is_content(text):
        raise NotFound("the content must be a SHA-256 of 64 hex digits")
    return Content(text)


async def requested_image(request: web.Request) -> Image:
    """The image of the parameter `id`. Raises NotFound, Unavailable."""
    text = request.match_info["id"]
    cache, expected_content = request.app[METADATA_CACHE], request.query.get("v", "")
    image = await cache.get_image(ImageId(text), expected_content) if is_id(text) else None
    if image is None:
        raise NotFound(f"no image {text}")
    return image


def ready_content(image: Image) -> Content:
    """The content of an image whose state is ready. Raises NotFound."""
    if image.content is None or image.state is not ImageState.READY:
        raise NotFound(f"image {image.id} has no media: its state is {image.state}")
    return image.content


def original_content(image: Image) -> Content:
    """The content of an image whose original is stored: ready, or failed. Raises NotFound."""
    if image.content is None or image.state is ImageState.MISSING:
        raise NotFound(f"image {image.id} has no original: its state is {image.state}")
    return image.content


def cache_control(request: web.Request, content: Content) -> str:
    """Cache-Control for a thumb by id: immutable where its query is exactly `v`, the content.

    Spellings that a cache may read otherwise (an encoded or repeated name, further arguments) are not
    immutable: no cache may keep them under another content's key.
    """
    return IMMUTABLE if request.rel_url.raw_query_string == f"v={content}" else REVALIDATE
