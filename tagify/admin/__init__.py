"""What the `tagify` command does to a catalog by itself, without the services."""
