"""Content-addressed object keys: the bucket and the key of a content."""

from tagify.model import THUMB_RECIPE, Bucket, Content, is_content
from tagify.settings import CommonSettings


class ObjectKeys:
    """The bucket names and object keys of one store."""

    def __init__(self, settings: CommonSettings) -> None:
        self.bucket_names = {
            Bucket.ORIGINALS: settings.s3_bucket_originals,
            Bucket.THUMBS: settings.s3_bucket_thumbs,
        }
        """The name of each bucket."""
        self.prefix = settings.s3_key_prefix

    def object_key(self, bucket: Bucket, content: Content) -> str:
        """The key of the object with this content."""
        suffix = f"{content[:2]}/{content}"
        return self.prefix + (f"{THUMB_RECIPE}/{suffix}" if bucket is Bucket.THUMBS else suffix)

    def url_path(self, bucket: Bucket, content: Content) -> str:
        """The path of the object's URL."""
        return f"/{self.bucket_names[bucket]}/{self.object_key(bucket, content)}"

    def content_of(self, key: str) -> Content | None:
        """The content of the object with this key, or None if the key is not one of ours."""
        *_, folder, name = ["", *key.removeprefix(self.prefix).split("/")]
        return Content(name) if is_content(name) and folder == name[:2] else None
