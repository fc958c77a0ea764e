"""The gallery page in a browser, with several pages of images: scrolling, filters, Back, new images."""

from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.browser import browser_page
from tests.support.up_process import run_up
from tests.support.waiting import until

NUMBER = 150


async def test_scrolling_loads_all_pages_and_the_url_keeps_the_view(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for number in range(NUMBER):
        name = f"{number:03}.jpg"
        data = (
            pictures.with_keywords("third", seed=number)
            if number % 3 == 0
            else pictures.jpeg(320, 240, seed=number)
        )
        (library / name).write_bytes(data)
    async with (
        run_up(tmp_path / "run", "--library", str(library)) as up,
        browser_page() as (page, console_errors),
    ):
        await up.wait_for_images(NUMBER)
        await page.goto(up.url)
        tiles = page.locator("[data-image-id]")
        await tiles.nth(59).wait_for()

        async def all_tiles_loaded() -> bool:
            await page.mouse.wheel(0, 4000)
            return await tiles.count() == NUMBER

        await until(all_tiles_loaded, every_s=0.1)
        await page.get_by_text("That is all.").wait_for()
        ids = [await tile.get_attribute("data-image-id") for tile in await tiles.all()]
        assert len(set(ids)) == NUMBER
        (library / "new.jpg").write_bytes(pictures.jpeg(seed=1000))
        await page.get_by_text("1 new").click()
        await page.locator('[alt="new.jpg"]').wait_for()
        await page.locator('[data-tag="third"]').click()

        async def only_tagged_tiles() -> bool:
            return await tiles.count() == NUMBER // 3

        await until(only_tagged_tiles)
        await page.reload()
        await until(only_tagged_tiles)
        await page.go_back()
        await tiles.nth(59).wait_for()
        assert console_errors == []


@pytest.mark.slow
async def test_the_page_approves_what_it_shows(tmp_path: Path) -> None:
    """No button while the folder is missing; then one that says how many images it removes."""
    library = tmp_path / "library"
    library.mkdir()
    for number in range(60):
        (library / f"{number}.jpg").write_bytes(pictures.jpeg(64, 48, seed=number))
    async with (
        run_up(tmp_path / "run", "--library", str(library)) as up,
        browser_page() as (page, console_errors),
    ):
        await up.wait_for_images(60)
        await page.goto(up.url)
        notice = page.locator("#notice")
        button = notice.get_by_role("button")
        library.rename(tmp_path / "away")
        await notice.get_by_text("is missing").wait_for()
        assert await button.count() == 0
        library.mkdir()
        await button.wait_for()
        await page.reload()
        await button.wait_for()
        assert await button.inner_text() == "Use this folder, remove up to 60 images"
        tiles = page.locator("[data-image-id]")
        await tiles.nth(59).wait_for()
        await button.click()

        async def all_tiles_gone() -> bool:
            return await tiles.count() == 0

        await until(all_tiles_gone)
        assert console_errors == []


async def test_a_damaged_picture_is_marked_on_its_tile_and_in_the_viewer(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "cut.jpg").write_bytes(pictures.jpeg(320, 240)[:3000])
    (library / "whole.jpg").write_bytes(pictures.jpeg(320, 240, seed=2)[:-2])
    async with (
        run_up(tmp_path / "run", "--library", str(library)) as up,
        browser_page() as (page, console_errors),
    ):
        tiles = {tile["path"]: tile for tile in await up.wait_for_images(2)}
        assert {path: tile.get("damaged", False) for path, tile in tiles.items()} == {
            "cut.jpg": True,
            "whole.jpg": False,
        }
        for tile in tiles.values():
            assert (await up.get_json(f"/api/images/{tile['_id']}"))["damaged"] == tile.get("damaged", False)
        assert [item["damaged"] for item in await up.get_json("/api/libraries")] == [1]
        await page.goto(up.url)
        await page.get_by_role("link", name="cut.jpg damaged").wait_for()
        await page.locator("#notice", has_text="1 damaged").wait_for()
        note = page.get_by_role("note")
        await page.get_by_role("link", name="whole.jpg", exact=True).click()
        await page.get_by_text("320 × 240").wait_for()
        assert not await note.is_visible()
        await page.goto(f"{up.url}/?image={tiles['cut.jpg']['_id']}")
        await note.get_by_text("Damaged: shown as far as it can be read.").wait_for()
        assert console_errors == []


@pytest.mark.slow
async def test_the_page_lists_failed_and_skipped_files(tmp_path: Path) -> None:
    """Also after a reload; the list stays open when the notice changes, and its link downloads the file."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "good.jpg").write_bytes(pictures.jpeg(64, 48))
    (library / "clip.mov").write_bytes(b"x")
    (library / "bad.jpg").write_bytes(b"no picture at all")
    async with (
        run_up(tmp_path / "run", "--library", str(library)) as up,
        browser_page() as (page, console_errors),
    ):
        await up.wait_for_images(1)
        await page.goto(up.url)
        notice = page.locator("#notice")
        skipped = page.locator("#notice", has_text="1 failed; skipped: 1 .mov")
        await skipped.wait_for()
        await page.reload()
        await skipped.wait_for()
        await notice.get_by_text("1 failed").click()
        item = notice.get_by_role("listitem").filter(has_text="bad.jpg: ")
        async with page.expect_download() as download:
            await item.get_by_role("link", name="Download").click()
        file = await download.value
        assert file.suggested_filename == "bad.jpg"
        assert Path(await file.path()).read_bytes() == b"no picture at all"
        (library / "worse.jpg").write_bytes(b"nor this")
        await notice.get_by_role("listitem").filter(has_text="worse.jpg: ").wait_for()
        assert await notice.get_by_text("2 failed").count() == 1
        assert console_errors == []
