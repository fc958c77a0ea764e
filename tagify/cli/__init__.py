"""The `tagify` command line: `main` and one module for each subcommand.

`main` imports only the module of the subcommand it runs, so that each starts without the others' imports.
"""
