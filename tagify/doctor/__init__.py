"""`tagify doctor`: what a host needs, looked at, each with its remedy."""
