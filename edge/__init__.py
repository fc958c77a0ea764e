"""The service that delivers bytes: thumbs, variants and originals."""
