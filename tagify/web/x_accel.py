"""Names for X-Accel-Redirect: NGINX sends a file in place of the response body."""

SENDFILE_TYPE = "X-Sendfile-Type"
"""Request header by which NGINX says that it supports file redirects: the value is X_ACCEL_REDIRECT."""

X_ACCEL_REDIRECT = "X-Accel-Redirect"
"""Response header with the path of the file; the response has no body."""

CACHE_LOCATION = "/_tagify/cache/"
"""NGINX location of the edge's cache files. It is internal: clients cannot request it."""
