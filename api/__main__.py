"""Entry point of `python -m api`."""

from api.app import build
from tagify.runtime import Address, serve
from tagify.settings import ApiSettings

if __name__ == "__main__":
    raise SystemExit(
        serve("api", ApiSettings, build, lambda s: Address(s.api_host, s.api_port, s.api_socket))
    )
