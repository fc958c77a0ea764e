"""`tagify install`, `tagify uninstall`, `tagify restart`."""

import argparse

from tagify.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the commands."""
    installing = commands.add_parser("install", help="make this host run Tagify by systemd; see make install")
    _add_dry_run(installing)
    installing.add_argument(
        "--with-servers", action="store_true", help="with a MongoDB and an S3 server of its own"
    )
    installing.add_argument("--no-start", action="store_true", help="start nothing now")
    installing.set_defaults(run=_install)
    removing = commands.add_parser("uninstall", help="take Tagify off this host; settings and data stay")
    _add_dry_run(removing)
    removing.set_defaults(run=_uninstall)
    restarting = commands.add_parser("restart", help="restart all services of this host, without a gap")
    restarting.set_defaults(run=_restart)


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _install(parsed: argparse.Namespace) -> int:
    from tagify.deploy.install.command import install  # noqa: PLC0415

    return install(dry_run=parsed.dry_run, own_servers=parsed.with_servers, start=not parsed.no_start)


def _uninstall(parsed: argparse.Namespace) -> int:
    from tagify.deploy.install.command import uninstall  # noqa: PLC0415

    return uninstall(dry_run=parsed.dry_run)


def _restart(_: argparse.Namespace) -> int:
    from tagify.deploy.install.command import restart  # noqa: PLC0415

    return restart()
