"""Shared by the benchmarks: load generators, test photos, catalogs, servers, results."""
