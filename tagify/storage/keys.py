"""Where objects lie in the store: the bucket and the key of a content."""

from tagify.model import THUMB_RECIPE, Bucket, Content, is_content
from tagify.settings import CommonSettings


class ObjectKeys:
    """The buckets and keys of one store."""

    def __init__(self, settings: CommonSettings) -> None:
        self.bucket_names = {
            Bucket.ORIGINALS: settings.s3_bucket_originals,
            Bucket.THUMBS: settings.s3_bucket_thumbs,
        }
        """Each bucket's name."""
        self.prefix = settings.s3_key_prefix

    def object_key(self, bucket: Bucket, content: Content) -> str:
        """Where the object of this content lies in its bucket."""
        place = f"{content[:2]}/{content}"
        return self.prefix + (f"{THUMB_RECIPE}/{place}" if bucket is Bucket.THUMBS else place)

    def url_path(self, bucket: Bucket, content: Content) -> str:
        """The path of the object's URL."""
        return f"/{self.bucket_names[bucket]}/{self.object_key(bucket, content)}"

    def content_of(self, key: str) -> Content | None:
        """The content whose object has this key, or None where it is none of ours."""
        *_, folder, name = ["", *key.removeprefix(self.prefix).split("/")]
        return Content(name) if is_content(name) and folder == name[:2] else None
