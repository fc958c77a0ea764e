"""The subcommands of `tagify`: what each is given on the command line, and whom it calls.

The work is done elsewhere, and imported when it is wanted: each command starts without the others.
"""
