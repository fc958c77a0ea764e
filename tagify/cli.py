"""The `tagify` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tagify import __version__
from tagify.errors import TagifyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status. A mistake is one line on standard error and status 1."""
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except TagifyError as error:
        print(f"tagify: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not flush into nothing at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tagify", description="Folders of images, browsable and taggable.")
    parser.add_argument("--version", action="version", version=f"tagify {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    _add_doctor(commands)
    _add_ingest(commands)
    _add_libraries(commands)
    _add_sweep(commands)
    _add_sample(commands)
    return parser


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("up", help="run everything here: servers, services and the page")
    parser.add_argument("--library", type=Path, help="folder to watch; without it a sample library is made")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="for data (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the page (%(default)s)")
    parser.add_argument("--mongo-uri", help="a MongoDB that is there already (a replica set)")
    parser.add_argument(
        "--s3-endpoint",
        help="an S3 server that is there already; its keys in TAGIFY_S3_ACCESS_KEY and TAGIFY_S3_SECRET_KEY",
    )
    parser.add_argument("--no-nginx", action="store_true", help="run without nginx though it is installed")
    parser.set_defaults(run=_up)


def _up(parsed: argparse.Namespace) -> int:
    from tagify.up.command import up  # noqa: PLC0415 - the other commands start without all this
    from tagify.up.plan import Wishes  # noqa: PLC0415

    return up(
        Wishes(
            data_dir=parsed.data_dir,
            host=parsed.host,
            port=parsed.port,
            library=parsed.library,
            mongo_uri=parsed.mongo_uri or os.environ.get("TAGIFY_MONGO_URI"),
            s3_endpoint=parsed.s3_endpoint or os.environ.get("TAGIFY_S3_ENDPOINT"),
            use_nginx=not parsed.no_nginx,
        )
    )


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("doctor", help="look at servers, limits and disks, and say what to mend")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="that of up (%(default)s)")
    parser.set_defaults(run=_doctor)


def _doctor(parsed: argparse.Namespace) -> int:
    from tagify.doctor.command import doctor  # noqa: PLC0415

    return doctor(parsed.data_dir.expanduser().absolute())


def _add_ingest(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("ingest", help="import a folder once, with a summary at the end")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="that of up (%(default)s)")
    parser.add_argument("--once", type=Path, metavar="PATH", required=True, help="the folder")
    parser.set_defaults(run=_ingest)


def _ingest(parsed: argparse.Namespace) -> int:
    from tagify.up.environment import load  # noqa: PLC0415

    if "TAGIFY_MONGO_URI" not in os.environ:
        os.environ.update(load(parsed.data_dir.expanduser().absolute()))
    os.environ.setdefault("TAGIFY_LOG_LEVEL", "warning")
    # A process in place of this one: the command knows no service.
    command = [sys.executable, "-m", "ingest", "--once", str(parsed.once)]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is in it


def _add_libraries(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("libraries", help="list the libraries, or approve of what was found in one")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="that of up (%(default)s)")
    what = parser.add_subparsers(required=True, metavar="WHAT")
    listing = what.add_parser("list", help="a line for each library, with what it waits for")
    listing.set_defaults(run=_libraries, library=None)
    approving = what.add_parser(
        "approve", help="let the images go whose files have gone, and take its folder for right as it is"
    )
    approving.add_argument("library", metavar="NAME", help="its name, path or id")
    approving.set_defaults(run=_libraries)


def _libraries(parsed: argparse.Namespace) -> int:
    from tagify.admin.libraries import approve, show  # noqa: PLC0415

    data_dir = parsed.data_dir.expanduser().absolute()
    return show(data_dir) if parsed.library is None else approve(data_dir, parsed.library)


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sweep", help="forget what has long been missing, remove unused objects")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="that of up (%(default)s)")
    parser.set_defaults(run=_sweep)


def _sweep(parsed: argparse.Namespace) -> int:
    from tagify.admin.sweep import sweep  # noqa: PLC0415

    return sweep(parsed.data_dir.expanduser().absolute())


def _add_sample(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sample", help="draw a sample library into a folder")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60, help="number of images (%(default)s)")
    parser.set_defaults(run=_sample)


def _sample(parsed: argparse.Namespace) -> int:
    from tagify.sample import make_sample  # noqa: PLC0415

    made = make_sample(parsed.folder, parsed.count)
    print(f"{made} images in {parsed.folder}")
    return 0


def default_data_dir() -> Path:
    """Where a user's programs keep their data (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tagify"


if __name__ == "__main__":
    raise SystemExit(main())
