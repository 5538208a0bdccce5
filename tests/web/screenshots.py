"""The pictures of the page in the README: photographs from examples/pictures, enlarged by the shipped srgan.

python tests/web/screenshots.py
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from browser import launched, served
from PIL import Image
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = [ROOT / "examples" / "pictures" / name for name in ("chelsea.png", "friends.jpg", "coffee.png")]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "color_scheme": "dark",
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def open_page(browser: Browser, url: str, chosen: int, **how: Any) -> Page:
    """Return the page with the photographs done, one of them chosen, beside its bicubic."""
    page = browser.new_context(reduced_motion="reduce", **how).new_page()
    page.goto(url)
    page.locator("body[data-ready]").wait_for(state="attached")
    page.locator("#files").set_input_files(PHOTOGRAPHS)
    expect(page.locator("#queue li[data-state=done]")).to_have_count(len(PHOTOGRAPHS), timeout=120_000)
    page.locator(f"#queue li:nth-child({chosen}) .pick").click()
    expect(page.locator(".pane.before img")).to_have_count(2, timeout=60_000)
    page.evaluate("document.activeElement.blur()")
    return page


def save(page: Page, name: str) -> None:
    """Write what is seen as docs/pictures/NAME."""
    path = ROOT / "docs" / "pictures" / name
    with Image.open(BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(path, quality=85, method=6)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def main() -> None:
    """Make both pictures."""
    with served() as url, launched() as browser:
        page = open_page(browser, url, 1, **DESKTOP)
        page.locator("#full").click()
        page.mouse.move(479, 330)
        page.mouse.down()
        page.mouse.move(629, 380, steps=5)  # one eye in the middle
        page.mouse.up()
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(500)
        save(page, "page.webp")
        page = open_page(browser, url, 2, **PHONE)
        page.wait_for_timeout(500)
        save(page, "page-phone.webp")


if __name__ == "__main__":
    main()
