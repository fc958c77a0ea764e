"""Token buckets and client addresses."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

import api.rate_limit.token_bucket
from api.rate_limit import TokenBuckets
from tagify.web import client_address

TRUSTED = [ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("10.0.0.0/24")]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    rate=st.sampled_from([0.5, 1.0, 3.0, 50.0]),
    burst=st.integers(1, 20),
    pauses=st.lists(st.sampled_from([0.0, 0.01, 0.3, 1.0, 7.0]), min_size=1, max_size=80),
)
def test_a_client_gets_at_most_its_burst_and_rate_and_correct_headers(
    rate: float, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    buckets = TokenBuckets(rate, burst, clock)
    granted: list[float] = []
    for pause in pauses:
        clock.now += pause
        grant = buckets.acquire("a")
        assert 0 <= grant.remaining < burst
        assert 0 <= grant.reset_s <= buckets.window_s
        if grant.allowed:
            granted.append(clock.now)
        else:
            assert grant.remaining == 0
            assert grant.retry_after_s >= 1
    for number, first in enumerate(granted):
        for count, last in enumerate(granted[number:], 1):
            assert count <= burst + rate * (last - first) + 1e-6


def test_a_retry_after_the_given_time_is_allowed() -> None:
    clock = Clock()
    buckets = TokenBuckets(0.4, 3, clock)
    assert [buckets.acquire("a").remaining for _ in range(3)] == [2, 1, 0]
    refused = buckets.acquire("a")
    assert (refused.allowed, buckets.acquire("b").allowed) == (False, True)
    clock.now += refused.retry_after_s
    assert buckets.acquire("a").allowed


def test_the_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.rate_limit.token_bucket, "MAX_BUCKETS", 100)
    buckets = TokenBuckets(1, 1, Clock())
    for number in range(10_000):
        assert buckets.acquire(str(number)).allowed
        assert not buckets.acquire(str(number)).allowed
    assert len(buckets) <= 100


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.99, 198.51.100.1, 10.0.0.3"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.99", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", [], None),
        ("127.0.0.1", ["127.0.0.1"], None),
        (None, ["198.51.100.1"], "198.51.100.1"),
        ("", [], None),
        ("127.0.0.1", ["198.51.100.1, <script>"], "127.0.0.1"),
        ("::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
    ],
)
def test_only_entries_of_trusted_proxies_count(
    peer: str | None, forwarded: list[str], client: str | None
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


@given(st.text(), st.lists(st.text(), max_size=4))
def test_any_header_is_parsed_without_error(peer: str, forwarded: list[str]) -> None:
    client_address(peer, forwarded, TRUSTED)
