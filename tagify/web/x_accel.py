"""How a service has NGINX send a file in place of its bytes (X-Accel-Redirect): the words for it."""

SENDFILE_TYPE = "X-Sendfile-Type"
"""The header by which NGINX says that it may be named a file: its value is then X_ACCEL_REDIRECT."""

X_ACCEL_REDIRECT = "X-Accel-Redirect"
"""The header of an answer without a body that names the file."""

CACHED = "/_tagify/cache/"
"""Under this path the edge's cache lies in NGINX. No client can ask for it: the location is internal."""
