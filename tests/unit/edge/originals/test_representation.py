"""The plan of a response to a request for an original, against a model of RFC 9110."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from aiohttp import hdrs
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from edge.http.headers import IMMUTABLE, REVALIDATE
from edge.http.ranges import ByteRange
from edge.originals.representation import Representation, ResponsePlan, client_has_content
from tagify.model import Content, OriginalInfo
from tests.support.request_strategies import range_lists, requests
from tests.support.rfc9110 import ModelRequest, ModelResponse, RangeSpec, expected_response

LENGTH = 100
CONTENT = Content("ab" * 32)
ETAG = f'"{CONTENT}"'
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
NOW = WHEN + timedelta(hours=1)


def representation(
    length: int = LENGTH, mime: str = "image/jpeg", modified: datetime | None = None
) -> Representation:
    return Representation(CONTENT, OriginalInfo(length, mime), IMMUTABLE, modified)


def planned(
    headers: dict[str, str] | None = None,
    method: str = "GET",
    served: Representation | None = None,
    store_date: datetime | None = WHEN,
) -> ResponsePlan:
    return (served or representation()).plan(method, CIMultiDict(headers or {}), store_date, NOW)


def as_modelled(request: ModelRequest, length: int) -> ModelResponse:
    """The plan in the terms of the model."""
    plan = planned(request.headers(), request.method, representation(length))
    sent = tuple(tuple(range(part.byte_range.first, part.byte_range.last + 1)) for part in plan.parts)
    if plan.status == HTTPStatus.OK and not sent:
        assert request.method == "HEAD" or not length
        sent = (tuple(range(length)),)
    return ModelResponse(plan.status, sent)


@given(requests(LENGTH, CONTENT, WHEN))
def test_plan_of_any_request_conforms_to_the_rfc(request: ModelRequest) -> None:
    assert as_modelled(request, LENGTH) == expected_response(request, LENGTH, CONTENT, WHEN)


@given(st.integers(0, 20).flatmap(lambda length: st.tuples(st.just(length), range_lists(length))))
def test_ranges_of_short_bodies(case: tuple[int, tuple[RangeSpec, ...]]) -> None:
    length, ranges = case
    request = ModelRequest(ranges=ranges)
    assert as_modelled(request, length) == expected_response(request, length, CONTENT, WHEN)


def test_whole_original() -> None:
    plan = planned()
    assert plan.status == 200
    assert [part.byte_range for part in plan.parts] == [ByteRange(0, LENGTH - 1)]
    assert plan.headers[hdrs.ETAG] == ETAG
    assert plan.headers["Cache-Control"] == IMMUTABLE
    assert plan.headers["Accept-Ranges"] == "bytes"
    assert plan.headers["Content-Type"] == "image/jpeg"
    assert plan.headers["Content-Length"] == str(LENGTH)
    assert plan.headers["Last-Modified"] == DATE
    assert plan.headers["X-Content-Type-Options"] == "nosniff"


def test_single_range_has_content_range_and_its_own_length() -> None:
    plan = planned({"Range": "bytes=5-9"})
    assert (plan.status, plan.headers["Content-Range"]) == (206, f"bytes 5-9/{LENGTH}")
    assert (plan.headers["Content-Type"], plan.headers["Content-Length"]) == ("image/jpeg", "5")


def test_several_ranges_are_one_multipart_body_of_known_length() -> None:
    plan = planned({"Range": "bytes=5-9,0-1"})
    assert plan.status == 206
    assert plan.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert "Content-Range" not in plan.headers
    assert [part.byte_range for part in plan.parts] == [ByteRange(5, 9), ByteRange(0, 1)]
    length = sum(len(part.head) + part.byte_range.length for part in plan.parts)
    assert int(plan.headers["Content-Length"]) == length + len(plan.closing_delimiter)


def test_range_in_several_header_lines_is_one_list() -> None:
    headers = CIMultiDict([("Range", "bytes=0-1"), ("Range", "5-6")])
    plan = representation().plan("GET", headers, WHEN, NOW)
    assert [part.byte_range for part in plan.parts] == [ByteRange(0, 1), ByteRange(5, 6)]


@pytest.mark.parametrize(("length", "content_range"), [(LENGTH, f"bytes */{LENGTH}"), (0, "bytes */0")])
def test_unsatisfiable_range_names_the_length(length: int, content_range: str) -> None:
    plan = planned({"Range": "bytes=100-"}, served=representation(length))
    assert (plan.status, plan.headers, plan.parts) == (416, {"Content-Range": content_range}, ())


@pytest.mark.parametrize(("method", "length"), [("HEAD", LENGTH), ("GET", 0), ("HEAD", 0)])
def test_no_body_is_sent_for_head_and_for_an_empty_original(method: str, length: int) -> None:
    plan = planned(method=method, served=representation(length))
    assert (plan.status, plan.parts) == (200, ())
    assert plan.headers["Content-Length"] == str(length)


@pytest.mark.parametrize("mime", ["image/svg+xml", "text/html", "application/pdf"])
@pytest.mark.parametrize("range_header", ["bytes=0-", "bytes=0-1,5-6"])
def test_active_content_is_octet_stream_in_every_part(mime: str, range_header: str) -> None:
    plan = planned({"Range": range_header}, served=representation(mime=mime))
    texts = [plan.headers["Content-Type"], *(part.head.decode() for part in plan.parts)]
    assert any("application/octet-stream" in text for text in texts)
    assert not any(mime in text for text in texts)


def test_failed_precondition_and_not_modified_have_no_body() -> None:
    assert planned({"If-Match": '"other"'}) == ResponsePlan(HTTPStatus.PRECONDITION_FAILED)
    plan = planned({"If-None-Match": ETAG})
    assert (plan.status, plan.parts) == (304, ())
    assert plan.headers[hdrs.ETAG] == ETAG
    assert "Content-Length" not in plan.headers


def test_extra_headers_are_in_the_response_and_in_its_304() -> None:
    disposition = {"Content-Disposition": "inline"}
    served = Representation(CONTENT, OriginalInfo(LENGTH, "image/png"), REVALIDATE, WHEN, disposition)
    for headers, status in (({}, 200), ({"If-None-Match": served.etag}, 304)):
        plan = planned(headers, served=served, store_date=None)
        assert plan.status == status
        assert plan.headers["Content-Disposition"] == "inline"
        assert plan.headers["Cache-Control"] == REVALIDATE


def test_the_entity_tag_covers_the_headers_that_caches_keep() -> None:
    def etag(disposition: str, mime: str = "image/png") -> str:
        headers = {"Content-Disposition": disposition}
        return Representation(CONTENT, OriginalInfo(LENGTH, mime), REVALIDATE, WHEN, headers).etag

    tags = [etag("inline"), etag("attachment"), etag("inline; filename=a"), etag("inline", ""), ETAG]
    assert len(set(tags)) == len(tags)
    assert etag("inline") == tags[0]
    assert planned({"If-None-Match": tags[0]}).status == 200


def test_own_date_precedes_the_stores_once_its_second_is_over() -> None:
    served, store_date = representation(modified=WHEN), WHEN - timedelta(days=1)
    for age, expected in ((timedelta(seconds=1), None), (timedelta(seconds=1.1), DATE)):
        plan = served.plan("HEAD", CIMultiDict(), store_date, WHEN + age)
        assert plan.headers.get("Last-Modified") == expected
    unsettled = served.plan("GET", CIMultiDict({"If-Modified-Since": DATE}), None, WHEN)
    assert unsettled.status == 304
    assert not served.dated_by_store


def test_without_a_known_date_the_sender_adds_last_modified() -> None:
    assert "Last-Modified" not in planned(store_date=None).headers
    assert representation().dated_by_store


@pytest.mark.parametrize(
    ("method", "headers", "modified", "expected"),
    [
        ("GET", {}, None, False),
        ("HEAD", {}, None, True),
        ("HEAD", {}, WHEN, True),
        ("GET", {"If-Modified-Since": DATE}, None, True),
        ("GET", {"If-Modified-Since": DATE}, WHEN, False),
        ("GET", {"If-None-Match": ETAG}, None, False),
    ],
)
def test_store_date_is_needed_only_for_head_and_conditions_by_date(
    method: str, headers: dict[str, str], modified: datetime | None, expected: bool
) -> None:
    served = representation(modified=modified)
    assert served.needs_store_date(method, CIMultiDict(headers)) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"If-None-Match": ETAG}, True),
        ({"If-None-Match": f'W/{ETAG}, "x"'}, True),
        ({"If-None-Match": " * "}, False),
        ({"If-None-Match": '"x"'}, False),
        ({}, False),
        ({"If-None-Match": ETAG, "If-Match": '"x"'}, False),
        ({"If-None-Match": ETAG, "If-Match": ETAG}, True),
        ({"If-None-Match": ETAG, "If-Unmodified-Since": DATE}, False),
    ],
)
def test_304_without_lookup_needs_a_matching_etag_and_no_date(
    headers: dict[str, str], expected: bool
) -> None:
    assert client_has_content(CIMultiDict(headers), CONTENT) is expected
