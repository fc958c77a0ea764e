"""`tagify up`: run the whole stack on one machine with one command."""
