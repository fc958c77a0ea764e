"""The page in a browser over a library of several pages: scrolling, filtering, going back, new images."""

from pathlib import Path

from tests.support import pictures
from tests.support.browser import browser_page
from tests.support.up_process import running
from tests.support.waiting import until

NUMBER = 150


async def test_scrolling_loads_page_after_page_and_the_url_keeps_the_view(tmp_path: Path) -> None:
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
    async with running(tmp_path / "run", "--library", str(library)) as up, browser_page() as (page, troubles):
        await up.indexed(NUMBER)
        await page.goto(up.url)
        tiles = page.locator("[data-image-id]")
        await tiles.nth(59).wait_for()

        async def all_there() -> bool:
            await page.mouse.wheel(0, 4000)
            return await tiles.count() == NUMBER

        await until(all_there, every_s=0.1)
        await page.get_by_text("That is all.").wait_for()
        ids = [await tile.get_attribute("data-image-id") for tile in await tiles.all()]
        assert len(set(ids)) == NUMBER
        (library / "new.jpg").write_bytes(pictures.jpeg(seed=1000))
        await page.get_by_text("1 new").click()
        await page.locator('[alt="new.jpg"]').wait_for()
        await page.locator('[data-tag="third"]').click()

        async def only_thirds() -> bool:
            return await tiles.count() == NUMBER // 3

        await until(only_thirds)
        await page.reload()
        await until(only_thirds)
        await page.go_back()
        await tiles.nth(59).wait_for()
        assert troubles == []
