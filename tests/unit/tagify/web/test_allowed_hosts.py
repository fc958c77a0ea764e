"""Allowed hosts: which names and addresses are ours, whatever their spelling."""

import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.web.allowed_hosts import AllowedHosts, own_host_names, server_names

HOSTS = AllowedHosts(["photos.example.org", "*.example.net", "192.0.2.7"])


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "localhost",
        "LOCALHOST:8000",
        "localhost.:8000",
        "app.localhost:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:8000",
        "[::ffff:127.0.0.1]:8000",
        "photos.example.org",
        "Photos.Example.Org.:443",
        "a.example.net",
        "a.b.example.net:8000",
        "192.0.2.7:80",
        socket.gethostname(),
    ],
)
def test_own_names_are_allowed(authority: str) -> None:
    assert HOSTS.allows(authority)


@pytest.mark.parametrize(
    "authority",
    [
        "evil.example",
        "photos.example.org.evil.example",
        "xphotos.example.org",
        "example.net",
        "evilexample.net",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8000",
        "photos.example.org@evil.example",
        "evil.example/photos.example.org",
        "photos.example.org evil.example",
        "photos.example.org,evil.example",
        "photos.example.org:80:80",
        "photos.example.org:80a",
        "198.51.100.9",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "[2001:db8::1]",
        "::1",
        "2130706433",
        "0x7f.1",
        "[localhost]",
        "localhost\x00.evil.example",
    ],
)
def test_other_names_are_refused(authority: str) -> None:
    assert not HOSTS.allows(authority)


@given(st.text(string.ascii_letters + string.digits + ".-_:[]@/\\%\x00 é", max_size=40))
def test_no_spelling_of_another_name_is_allowed(text: str) -> None:
    assert not HOSTS.allows(f"{text}.evil.example")
    assert not HOSTS.allows(f"evil.example{text}.") or not text.strip("0123456789:")


def test_a_star_allows_every_name() -> None:
    assert AllowedHosts(["*"]).allows("whatever.example")


def test_server_names_of_nginx_are_names() -> None:
    assert list(server_names("_")) == []
    assert list(server_names("a.example.org *.example.net .example.com")) == [
        "a.example.org",
        "*.example.net",
        "example.com",
        "*.example.com",
    ]
    assert all(AllowedHosts([]).allows(name) for name in own_host_names())
