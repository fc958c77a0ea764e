"""`tagify up`: everything on one machine with one command."""
