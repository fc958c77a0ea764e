"""The edge service: delivers thumbs, variants and originals over HTTP."""
