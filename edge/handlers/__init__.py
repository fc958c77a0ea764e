"""HTTP in, HTTP out: each module answers one part of the route table and decides nothing."""
