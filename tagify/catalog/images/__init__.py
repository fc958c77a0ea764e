"""Image documents: repository, write commands, the unit of work that applies them."""
