"""The daemon that keeps the catalog equal to the folders."""
