"""`tagify nginx`."""

import argparse

from tagify.cli.arguments import Commands, folder


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("nginx", help="write the configuration of NGINX")
    what = parser.add_subparsers(required=True, metavar="WHAT")
    rendering = what.add_parser("render", help="write it into a folder, from the settings of the environment")
    rendering.add_argument("folder", type=folder, help="on a host /etc/nginx/tagify")
    rendering.add_argument(
        "--whole", action="store_true", help="with an nginx.conf, so that nginx runs with this folder alone"
    )
    rendering.set_defaults(run=_render)


def _render(parsed: argparse.Namespace) -> int:
    from tagify.deploy.nginx import render  # noqa: PLC0415
    from tagify.settings import NginxSettings, load  # noqa: PLC0415

    print(render(parsed.folder, load(NginxSettings), whole=parsed.whole))
    return 0
