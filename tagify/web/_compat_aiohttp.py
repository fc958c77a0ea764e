"""Private and undocumented parts of aiohttp that Tagify uses; no other module touches them.

Checked with aiohttp 3.14.5. The bound in pyproject.toml is the next minor version: read the notes of a new
one, compare the names below, run the tests of `runtime` and of the edge, then raise it.
"""

from typing import Any, cast

from aiohttp import web
from aiohttp.http import StreamWriter


class DeferredHeadResponse(web.StreamResponse):
    """A response whose head is sent with the first bytes of its body, in one packet.

    `StreamResponse._send_headers_immediately`: if True, the default, `prepare` sends the head in a separate
    packet. There is no public option.
    """

    _send_headers_immediately = False


class ServerWrapper(web.Server):
    """A server with the options of another, whose requests and connections a subclass handles.

    `Server._kwargs`: the options of a connection (keep-alive, limits of a head, access log), which the
    application's runner sets. `Server._loop`: the event loop. There is no public way to read either.
    """

    def __init__(self, server: web.Server, handler: Any) -> None:
        super().__init__(
            handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **server._kwargs,
        )
        self.loop = self._loop
        self.connection_options: dict[str, Any] = {"loop": self._loop, **self._kwargs}
        """Keyword arguments of `web.RequestHandler`."""

    def __call__(self) -> web.RequestHandler:
        """Create the protocol of a new connection."""
        raise NotImplementedError


class WrappingRunner(web.AppRunner):
    """Runs an application on the server that `wrap` makes from the application's.

    `AppRunner._make_server` creates the server in `setup`. There is no public hook between that and the
    first connection.
    """

    __slots__ = ()

    def wrap(self, server: web.Server) -> web.Server:
        """The server that replaces the application's."""
        raise NotImplementedError

    async def _make_server(self) -> web.Server:
        return self.wrap(await super()._make_server())


def stream_writer(request: web.BaseRequest) -> StreamWriter:
    """The writer of a request's response, as the class it is.

    `write(data, drain=False)` is not part of `AbstractStreamWriter`: it writes without a wait for the client
    to read. A wait for `drain` can be cancelled and repeated.
    """
    return cast(StreamWriter, request.writer)
