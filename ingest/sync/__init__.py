"""Keeps the catalog equal to a folder: walk, diff, root and deletion guards."""
