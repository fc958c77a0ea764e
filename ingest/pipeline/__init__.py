"""From a file to its blobs and its document: queue, import, batch write."""
