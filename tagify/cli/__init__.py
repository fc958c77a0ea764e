"""The `tagify` command line: `main` and one module per subcommand.

`main` imports only the module of the subcommand it runs, to keep start-up fast.
"""
