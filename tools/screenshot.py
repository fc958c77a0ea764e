"""Takes the README's picture: runs Tagify on its sample library and takes a screenshot of the page.

Run by `make screenshot`; needs Chromium on PATH.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from tagify.servers.ports import find_free_port

PICTURE = Path(__file__).parents[1] / "docs" / "gallery.png"
SIZE = {"width": 1280, "height": 800}
START_TIMEOUT_S = 60
SAMPLES = 60
"""Images of the sample library."""


def main() -> int:
    """Write docs/gallery.png; the exit status."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("make screenshot needs Chromium: sudo apt-get install chromium", file=sys.stderr)
        return 1
    port = find_free_port(start=29_000)
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "tagify.cli.main", "up", "--data-dir", data, "--port", str(port)]
        with subprocess.Popen(command) as up:
            try:
                _wait_for_images(f"http://127.0.0.1:{port}/api/images")
                _take_screenshot(chromium, f"http://127.0.0.1:{port}/")
            finally:
                up.terminate()
    print(f"written to {PICTURE}")
    return 0


def _wait_for_images(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url) as response:
                if response.read().count(b'"_id"') >= SAMPLES:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"the sample library was not indexed within {START_TIMEOUT_S} s")


def _take_screenshot(chromium: str, url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        page = browser.new_page(viewport={"width": SIZE["width"], "height": SIZE["height"]})
        page.goto(url)
        page.locator(".tile img.loaded").nth(11).wait_for()
        page.screenshot(path=str(PICTURE), animations="disabled")
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
