"""tagify/cli."""
