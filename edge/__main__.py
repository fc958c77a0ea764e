"""`python -m edge`: runs the edge service."""

from edge.app import build
from tagify.runtime import Address, serve
from tagify.settings import EdgeSettings

if __name__ == "__main__":
    raise SystemExit(
        serve("edge", EdgeSettings, build, lambda s: Address(s.edge_host, s.edge_port, s.edge_socket))
    )
