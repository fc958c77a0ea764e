"""What the measurements share: load, photos, catalogs, servers."""
