"""The S3 object store: client, object keys, pre-signed URLs."""
