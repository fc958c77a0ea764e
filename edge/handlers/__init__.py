"""HTTP handlers: each module reads requests and sends responses of one group of routes, without decisions."""
