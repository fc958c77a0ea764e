"""From a file to its stored objects and its document: queue, import, batch write."""
