"""`tagify install`, `tagify uninstall`, `tagify restart`."""

import argparse

from tagify.deploy.install.command import install, restart, uninstall


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand that the parser is named after."""
    match parser.prog.split()[-1]:
        case "install":
            _add_dry_run(parser)
            parser.add_argument(
                "--with-servers", action="store_true", help="run a MongoDB and an S3 server on this host, too"
            )
            parser.add_argument(
                "--no-start", action="store_true", help="install without starting the services"
            )
            parser.set_defaults(run=_install)
        case "uninstall":
            _add_dry_run(parser)
            parser.set_defaults(run=_uninstall)
        case "restart":
            parser.set_defaults(run=_restart)


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print the steps without running them")


def _install(parsed: argparse.Namespace) -> int:
    return install(dry_run=parsed.dry_run, with_servers=parsed.with_servers, start=not parsed.no_start)


def _uninstall(parsed: argparse.Namespace) -> int:
    return uninstall(dry_run=parsed.dry_run)


def _restart(_: argparse.Namespace) -> int:
    return restart()
