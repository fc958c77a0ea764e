"""What a request names: a content by its hash, or an image by its id."""

from aiohttp import web

from edge.app_keys import METADATA_CACHE
from edge.http.headers import IMMUTABLE, REVALIDATE
from tagify.errors import NotFound
from tagify.model import Content, Image, ImageId, ImageState, is_content, is_id


def content_param(request: web.Request) -> Content:
    """The content that the path names. Raises NotFound."""
    text = request.match_info["content"]
    if not is_content(text):
        raise NotFound("content is named by its SHA-256, 64 hex digits")
    return Content(text)


async def requested_image(request: web.Request) -> Image:
    """The image that the path names. Raises NotFound, Unavailable."""
    text = request.match_info["id"]
    expected_content = request.query.get("v", "")
    image = (
        await request.app[METADATA_CACHE].get_image(ImageId(text), expected_content) if is_id(text) else None
    )
    if image is None:
        raise NotFound(f"there is no image {text}")
    return image


def ready_content(image: Image) -> Content:
    """The content of an image that is listed. Raises NotFound."""
    if image.content is None or image.state is not ImageState.READY:
        raise NotFound(f"image {image.id} has no media: it is {image.state}")
    return image.content


def cache_control(request: web.Request, content: Content) -> str:
    """For a URL by id: immutable where it names the content too."""
    return IMMUTABLE if request.query.get("v") == content else REVALIDATE
