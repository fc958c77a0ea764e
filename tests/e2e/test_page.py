"""The gallery page in a browser, with several pages of images: scrolling, filters, Back, new images."""

from pathlib import Path

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
