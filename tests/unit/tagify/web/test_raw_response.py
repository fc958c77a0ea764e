"""Raw responses are byte for byte like the responses that aiohttp assembles."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tagify.web import RawResponse, response_head

BODY = bytes(range(256)) * 400
HEADERS = {"Content-Type": "image/webp", "ETag": '"one"', "X-Number": "1"}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers `/raw` with a raw response where possible, and other paths as usual."""
    head = response_head(HEADERS, len(BODY))

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/raw" and RawResponse.can_answer(request):
            return RawResponse(head, "X-Own: yes\r\n", BODY)
        return web.Response(body=BODY, headers={**HEADERS, "X-Own": "yes"})

    async with RawTestServer(respond) as server:
        assert server.port
        yield server.port


async def read_response(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    """Status and headers by name, and the body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {"": lines[0]} | dict(line.split(": ", 1) for line in lines[1:-2])
    assert len(headers) == len(lines) - 2, "a header came twice"
    headers.pop("Date")
    return headers, await reader.readexactly(int(headers["Content-Length"]))


async def test_raw_responses_equal_ordinary_ones(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in ("/raw", "/ordinary", "/raw"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    first, ordinary, second = [await read_response(reader) for _ in range(3)]
    assert first == ordinary == second
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("version", "extra_header", "kept"),
    [
        ("1.1", "Connection: close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive\r\n", True),
    ],
)
async def test_other_connection_types_get_ordinary_responses(
    port: int, version: str, extra_header: str, kept: bool
) -> None:
    responses = []
    for path in ("/raw", "/ordinary"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/{version}\r\nHost: x\r\n{extra_header}\r\n".encode())
        responses.append(await read_response(reader))
        if not kept:
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert responses[0] == responses[1]


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "\r\n", "a\0b"])
@pytest.mark.parametrize("location", ["name", "value"])
def test_a_header_with_a_control_character_is_rejected(text: str, location: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        response_head({text: "x"} if location == "name" else {"ETag": text}, 1)
