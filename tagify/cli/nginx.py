"""`tagify nginx`."""

import argparse
from pathlib import Path

from tagify.cli.arguments import absolute_path
from tagify.deploy.nginx import render
from tagify.deploy.nginx.access_log import AccessLogUnreadable, cache_metrics
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
    counting = actions.add_parser("metrics", help="print counters of its caches, from its access log")
    counting.add_argument(
        "--log", type=absolute_path, help="access log (TAGIFY_NGINX_ACCESS_LOG); rotated ones end in .1"
    )
    counting.set_defaults(run=_print_metrics)


def _render(parsed: argparse.Namespace) -> int:
    print(render(parsed.folder, load(NginxSettings), standalone=parsed.whole))
    return 0


def _print_metrics(parsed: argparse.Namespace) -> int:
    log = parsed.log or load(NginxSettings).nginx_access_log
    if not log:
        raise AccessLogUnreadable("no access log: set TAGIFY_NGINX_ACCESS_LOG, or pass --log")
    print(cache_metrics(Path(log)), end="")
    return 0
