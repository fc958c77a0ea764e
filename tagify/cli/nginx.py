"""`tagify nginx`."""

import argparse

from tagify.cli.arguments import absolute_path
from tagify.deploy.nginx import render
from tagify.settings import NginxSettings, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    rendering = actions.add_parser("render", help="write it into a folder, from the settings")
    rendering.add_argument("folder", type=absolute_path, help="target folder; on a host /etc/nginx/tagify")
    rendering.add_argument(
        "--whole", action="store_true", help="add an nginx.conf, to run nginx with this folder alone"
    )
    rendering.set_defaults(run=_render)


def _render(parsed: argparse.Namespace) -> int:
    print(render(parsed.folder, load(NginxSettings), standalone=parsed.whole))
    return 0
