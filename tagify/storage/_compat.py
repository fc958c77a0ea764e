"""Undocumented parts of the S3 client that the store uses; no other module imports them.

Checked with minio 7.2.20. The bound in pyproject.toml is the next minor version: compare the functions below
with a new version and run the tests of the store, then raise it.

`sign_v4_s3(method, url, region, headers, credentials, content_sha256, date)` signs the headers of a request:
`Minio.put_object` hashes the bytes once more and cannot send `If-None-Match`. `to_amz_date` and `utcnow` give
the date in the forms that the signature needs.
"""

from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3
from minio.time import to_amz_date, utcnow

__all__ = ["Credentials", "sign_v4_s3", "to_amz_date", "utcnow"]
