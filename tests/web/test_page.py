"""The page, in Chromium, before a service that runs in a process of its own."""

import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pillow_heif
import pytest
from browser import chromium, launched, served
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Dialog, Locator, Page, Route, expect

from srgan.data.degradation import with_blur, with_noise
from srgan.image.resize import imresize

PICTURES = Path(__file__).parents[2] / "examples" / "pictures"
NEEDED = bool(os.environ.get("SRGAN_TEST_BROWSER"))

expect.set_options(timeout=20_000)
pytestmark = pytest.mark.skipif(chromium() is None and not NEEDED, reason="no chromium on this machine: make test-web")

MOST_BYTES, MOST_PIXELS = 400_000, 1_200_000
EDGE = 16  # of the viewer, whose corners are round
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    limits = ("--max-bytes", f"{MOST_BYTES}B", "--max-input-pixels", str(MOST_PIXELS))
    with served(*limits, "--memory", "420MB") as url:  # so that windows are small, and cancelled soon
        yield url


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, service: str) -> Iterator[Open]:
    """A function that opens the page; afterwards nothing may have gone wrong in it, nor left this machine."""
    contexts, wrong = [], []

    def told(kind: str, text: str) -> None:
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            wrong.append(f"{kind}: {text}")

    def open_page(url: str = service, prepare: Callable[[Page], object] = lambda _: None, **how: Any) -> Page:
        how = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | how
        context = browser.new_context(**how)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told(message.type, message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if not is_here(request.url, url) else None)
        prepare(page)
        page.on("filechooser", lambda _: None)  # to be told of them from the start
        page.goto(url)
        page.locator("body[data-ready]").wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(opened: Open) -> Page:
    return opened()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of a photograph, 120x80."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    with Image.open(PICTURES / "coffee.png") as image:
        image.convert("RGB").crop((300, 70, 420, 150)).save(path, quality=98)
    return path


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that takes long enough to be cancelled."""
    path = tmp_path_factory.mktemp("slow") / "slow.jpg"
    with Image.open(PICTURES / "coffee.png") as image:
        image.convert("RGB").resize((900, 600)).save(path, quality=80)
    return path


def is_here(url: str, service: str) -> bool:
    return url.startswith((service, "blob:", "data:"))


def give(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files(list(paths))


def entry(page: Page, number: int = 1) -> Locator:
    return page.locator(f"#queue li:nth-child({number})")


def wait_for(page: Page, state: str, number: int = 1) -> None:
    expect(entry(page, number)).to_have_attribute("data-state", state, timeout=60_000)


def images(page: Page, side: str) -> Locator:
    return page.locator(f".pane.{side} img")


def compared(page: Page) -> None:
    """Wait until the result is beside the bicubic."""
    wait_for(page, "done")
    expect(images(page, "before")).to_have_count(2)
    expect(images(page, "after")).to_have_count(1)


def download(page: Page) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.locator("#download").click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def by_command(path: Path, folder: Path, *arguments: str) -> bytes:
    """Return what the command line makes of a picture."""
    command = [sys.executable, "-m", "srgan", "upscale", str(path), "-o", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    (result,) = folder.iterdir()
    return result.read_bytes()


def pixels(content: bytes) -> Pixels:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def seen(page: Page) -> Pixels:
    """Return what the viewer shows, without what lies over the pictures and its round corners: (H, W, 3)."""
    hide = "(no) => document.querySelectorAll('.label, .divider, .mark').forEach(e => e.style.visibility = no)"
    page.evaluate(hide, "hidden")
    shown = pixels(page.locator("picture-viewer").screenshot())
    page.evaluate(hide, "")
    return shown[EDGE:-EDGE, EDGE:-EDGE]


def place(page: Page, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return where a picture that is smaller than the viewer lies in it."""
    box = page.locator("picture-viewer").bounding_box()
    assert box is not None
    top, left = round((box["height"] - shape[0]) / 2) - EDGE, round((box["width"] - shape[1]) / 2) - EDGE
    return slice(top, top + shape[0]), slice(left, left + shape[1])


def cropped(url: str) -> tuple[int, ...]:
    """Return the left, top, width and height that a request asks for."""
    return tuple(map(int, parse_qs(urlsplit(url).query)["crop"][0].split(",")))


def difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def test_a_picture_is_chosen_seen_beside_bicubic_and_downloaded(page: Page, photo: Path, tmp_path: Path) -> None:
    expect(page.get_by_role("heading", name="Drop a picture here")).to_be_visible()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Choose pictures").click()
    choosing.value.set_files(photo)
    compared(page)
    expect(page.locator("#facts")).to_have_text("120 × 80 to 480 × 320 pixels")

    name, content = download(page)
    assert name == "photo_x4.png"
    assert content == by_command(photo, tmp_path)

    after, before = pixels(content), imresize(pixels(photo.read_bytes()), scale=4)
    shown = seen(page)[place(page, after.shape)]
    assert difference(shown[:, 240:], after[:, 240:]) == 0
    assert difference(shown[:, :240], before[:, :240]) == 0

    page.get_by_text("Pixels", exact=True).click()
    expect(images(page, "before")).to_have_count(1)
    squares = pixels(photo.read_bytes()).repeat(4, axis=0).repeat(4, axis=1)
    assert difference(seen(page)[place(page, after.shape)][:, :240], squares[:, :240]) == 0


def test_the_divider_moves_by_mouse_and_by_keys(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    after = pixels(download(page)[1])
    divider = page.get_by_role("slider", name="Divider")
    box = page.locator(".grip").bounding_box()
    assert box is not None
    x, y = box["x"] + 20, box["y"] + 20
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y, steps=4)
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "25")
    assert difference(seen(page)[place(page, after.shape)][:, 120:], after[:, 120:]) == 0

    divider.focus()
    for keys, value in (("ArrowRight", 26), ("PageUp", 36), ("Shift+ArrowLeft", 26), ("End", 100), ("Home", 0)):
        page.keyboard.press(keys)
        expect(divider).to_have_attribute("aria-valuenow", str(value))
    assert difference(seen(page)[place(page, after.shape)], after) == 0

    viewer = page.locator("picture-viewer").bounding_box()
    assert viewer is not None
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)  # nowhere to move to: the divider follows
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "63")


def test_what_is_half_transparent_is_so_on_both_sides_and_in_a_part(page: Page, tmp_path: Path) -> None:
    Image.new("RGBA", (60, 60), (255, 0, 0, 128)).save(tmp_path / "red.png")
    give(page, tmp_path / "red.png")
    compared(page)

    def sides() -> tuple[Pixels, Pixels]:
        shown = seen(page)[place(page, (240, 240))].astype(int)
        return shown[64:192, 32:96].mean((0, 1)), shown[64:192, 160:224].mean((0, 1))

    before, after = sides()
    assert np.abs(before - after).max() < 3
    page.locator("input[value=srresnet]").check(force=True)
    expect(images(page, "after")).to_have_count(2)
    assert np.abs(sides()[1] - after).max() < 3


def test_each_label_stays_on_its_side(opened: Open, tmp_path: Path) -> None:
    page = opened(viewport={"width": 390, "height": 844})
    with Image.open(PICTURES / "friends.jpg") as image:
        image.convert("RGB").crop((0, 0, 60, 90)).save(tmp_path / "tall.png")
    give(page, tmp_path / "tall.png")
    compared(page)
    page.locator("#map").check(force=True)
    expect(page.locator(".label.after")).to_have_text(re.compile("invented"))
    line, before, after = (page.locator(name).bounding_box() for name in (".divider", ".label.before", ".label.after"))
    assert line is not None
    assert before is not None
    assert after is not None
    middle = line["x"] + line["width"] / 2
    assert before["x"] + before["width"] < middle < after["x"]


def test_zoom_and_move(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    after = pixels(download(page)[1])
    page.get_by_role("slider", name="Divider").focus()
    page.keyboard.press("Home")
    zoom = page.locator("#zoom")
    expect(zoom).to_have_text("100%")

    page.get_by_role("button", name="200%").click()
    expect(zoom).to_have_text("200%")
    expect(page.get_by_role("button", name="200%")).to_have_attribute("aria-pressed", "true")
    height, width = seen(page).shape[:2]
    twice = after.repeat(2, axis=0).repeat(2, axis=1)
    top, left = (640 - height) // 2, (960 - width) // 2
    assert difference(seen(page), twice[top : top + height, left : left + width]) == 0

    page.locator(".stage").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    corner = twice[EDGE:, EDGE:]
    assert difference(seen(page), corner[:height, :width]) == 0, "the corner, and no further"
    box = page.locator("picture-viewer").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 290, box["y"] + 280, steps=4)
    page.mouse.up()
    assert difference(seen(page), corner[20 : 20 + height, 10 : 10 + width]) == 0

    page.locator(".stage").focus()
    for key, text in (
        ("1", "100%"),
        ("+", "125%"),
        ("-", "100%"),
        ("2", "200%"),
        ("0", f"{(height + 2 * EDGE) / 320:.0%}"),
    ):
        page.keyboard.press(key)
        expect(zoom).to_have_text(text)
    page.get_by_role("button", name="100%").click()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -200)
    expect(zoom).to_have_text("149%")
    page.mouse.dblclick(box["x"] + 300, box["y"] + 300)
    expect(zoom).to_have_text("100%")


def test_the_zoom_is_told_after_a_result_of_another_size_and_in_another_window(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    page.get_by_role("button", name="200%").click()
    page.locator("#size").select_option("8")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#facts")).to_have_text(re.compile("960 × 640"))
    wait_for(page, "done")
    expect(page.locator("#zoom")).to_have_text("100%")
    expect(page.locator("#full")).to_have_attribute("aria-pressed", "true")
    page.locator("#fit").click()
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "true")
    page.set_viewport_size({"width": 1100, "height": 700})
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "false")


def test_two_fingers_zoom(opened: Open, photo: Path) -> None:
    page = opened(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="no-preference"
    )
    give(page, photo)
    compared(page)
    divider = page.get_by_role("slider", name="Divider")
    expect(divider).to_have_attribute("aria-valuenow", "50")  # where it comes to rest
    page.get_by_role("button", name="100%").click()
    box = page.locator("picture-viewer").bounding_box()
    assert box is not None
    x, y = box["x"] + 100, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *across: float) -> None:
        points = [{"x": x + way, "y": y, "id": number} for number, way in enumerate(across)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0, 50)
    for way in (60, 75, 100):
        touch("touchMove", 0, way)
    touch("touchEnd")
    expect(page.locator("#zoom")).to_have_text("200%")


def test_pictures_are_dropped_and_pasted(page: Page, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / 'größer "2".png'
    with Image.open(photo) as image:
        image.crop((0, 0, 30, 20)).save(other)
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, content] of files) {
                transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
            }
            return transfer;
        }""",
        [[path.name, b64encode(path.read_bytes()).decode()] for path in (photo, other)],
    )
    page.dispatch_event("#welcome", "dragenter", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop to enlarge")).to_be_visible()
    page.dispatch_event("#welcome", "drop", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop to enlarge")).to_be_hidden()
    wait_for(page, "done", 2)
    paste = """(transfer) => document.body.dispatchEvent(
        new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true}))"""
    page.evaluate(paste, transfer)
    wait_for(page, "done", 4)
    text = page.evaluate_handle("() => { const it = new DataTransfer(); it.setData('text/plain', '7'); return it; }")
    page.locator("#quality").evaluate(
        paste.replace("document.body", "field").replace("(transfer)", "(field, transfer)"), text
    )
    expect(page.locator("#said")).not_to_have_text("There is no picture in that.")
    page.evaluate(paste, text)
    expect(page.locator("#said")).to_have_text("There is no picture in that.")

    entry(page, 2).locator(".pick").click()
    expect(page.locator("#facts")).to_have_text("30 × 20 to 120 × 80 pixels")
    name, content = download(page)
    assert re.fullmatch(r"größer .?2.?_x4\.png", name)
    assert pixels(content).shape == (80, 120, 3)


def test_a_folder_is_dropped(page: Page, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    with Image.open(photo) as image:
        image.crop((0, 0, 30, 20)).save(tmp_path / "one.png")
        image.crop((0, 0, 20, 30)).save(tmp_path / "below" / "two.gif")
        image.crop((0, 0, 10, 10)).save(tmp_path / "below" / ".hidden.gif")
    session = page.context.new_cdp_session(page)
    what = {"items": [], "files": [str(tmp_path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 400, "data": what})
    wait_for(page, "done", 2)
    assert sorted(page.locator("#queue .title").all_inner_texts()) == ["one.png", "two.gif"]


def test_a_detail_is_tried_out_on_a_part_and_applied_to_the_whole(page: Page, photo: Path, tmp_path: Path) -> None:
    give(page, photo)
    compared(page)
    page.get_by_role("slider", name="Divider").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="200%").click()
    with page.expect_response(lambda response: "detail=0.5" in response.url) as waiting:
        page.get_by_role("slider", name="Detail", exact=False).last.fill("0.5")
    left, top, width, height = cropped(waiting.value.url)
    assert left + width / 2 == pytest.approx(60, abs=1)
    assert top + height / 2 == pytest.approx(40, abs=1)
    expect(images(page, "after")).to_have_count(2)
    expect(page.locator(".mark")).to_have_attribute("data-name", "detail 0.50")
    expect(page.get_by_text("The result is by srgan-plus, 480 × 320, PNG.")).to_be_visible()

    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()
    wait_for(page, "done")
    expect(images(page, "after")).to_have_count(1)
    expect(page.locator(".mark")).to_be_hidden()
    assert download(page)[1] == by_command(photo, tmp_path, "--detail", "0.5")


def test_the_part_lies_where_it_belongs(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    page.get_by_role("slider", name="Divider").focus()
    page.keyboard.press("Home")
    expected = pixels(download(page)[1]).copy()
    with page.expect_response(lambda response: "crop=" in response.url) as waiting:
        page.get_by_role("radio", name="Plain").check()
    expect(images(page, "after")).to_have_count(2)
    left, top, width, height = cropped(waiting.value.url)
    part = pixels(photo.read_bytes())[top : top + height, left : left + width]
    expected[4 * top : 4 * (top + height), 4 * left : 4 * (left + width)] = imresize(part, scale=4)
    assert difference(seen(page)[place(page, expected.shape)], expected) == 0


def test_the_model_the_size_and_the_format_are_chosen(page: Page, photo: Path, tmp_path: Path) -> None:
    give(page, photo)
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_label("Size").select_option("Width…")
    page.get_by_label("Width in pixels").fill("200")
    page.get_by_label("Format").select_option("WEBP")
    page.get_by_label("Quality").fill("70")
    wait_for(page, "done")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="Download WEBP")).to_be_visible()
    name, content = download(page)
    assert name.endswith(".webp")
    chosen = ("--model", "srresnet", "--width", "200", "--format", "webp", "--quality", "70")
    assert content == by_command(photo, tmp_path, *chosen)


def test_more_of_it_is_asked_for_and_bicubic_has_none_of_it(page: Page, photo: Path, tmp_path: Path) -> None:
    give(page, photo)
    compared(page)
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("checkbox", name="A texture without seams").check()
    with page.expect_response(lambda answer: "crop=" in answer.url and "consistent=true" in answer.url) as tried:
        page.get_by_role("checkbox", name="True to the picture").check()
    assert tried.value.status == 200
    assert "seamless" not in tried.value.url  # of a part there is no other side
    page.get_by_role("checkbox", name="From eight sides").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()
    wait_for(page, "done")
    chosen = ("--model", "srresnet", "--consistent", "--ensemble", "--seamless")
    assert download(page)[1] == by_command(photo, tmp_path, *chosen)
    page.get_by_role("radio", name="Plain").check()
    for name in ("True to the picture", "From eight sides", "A texture without seams"):
        expect(page.get_by_role("checkbox", name=name)).to_be_disabled()


def test_the_network_is_chosen_for_a_jpeg_of_low_quality_until_people_do(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    poor, good = tmp_path / "poor.jpg", tmp_path / "good.jpg"
    with Image.open(photo) as image:
        image.save(poor, quality=60)
        image.save(good, quality=95)
    sharp, repairs = (page.get_by_role("radio", name=name) for name in ("srgan-plus", "srgan-photo"))
    chosen = page.locator("#chosen")
    give(page, photo, poor)
    wait_for(page, "done")
    wait_for(page, "done", 2)
    expect(sharp).to_be_checked()
    expect(chosen).to_be_hidden()
    entry(page, 2).locator(".pick").click()
    expect(repairs).to_be_checked()
    expect(chosen).to_have_text("Chosen by the picture, which is, or was, a JPEG of quality 60.")
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()
    _, content = download(page)
    (tmp_path / "out").mkdir()
    assert content == by_command(poor, tmp_path / "out")

    page.get_by_label("Size").select_option("2")
    page.get_by_role("button", name="To all").click()
    for number in (1, 2):
        wait_for(page, "done", number)
    expect(repairs).to_be_checked()
    entry(page, 1).locator(".pick").click()
    expect(sharp).to_be_checked()
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()

    give(page, good)
    wait_for(page, "done", 3)
    entry(page, 3).locator(".pick").click()
    expect(sharp).to_be_checked()
    expect(page.locator("#repair")).to_have_value("0.5")
    expect(chosen).to_have_text("Chosen by the picture, which is, or was, a JPEG of quality 95.")
    page.locator("#repair").fill("2")
    expect(page.get_by_role("radio", name="srgan-deblur")).to_be_checked()
    page.locator("#repair").fill("1.5")
    expect(sharp).to_be_checked()
    page.locator("#repair").fill("1")
    expect(repairs).to_be_checked()
    page.locator("#repair").fill("0.25")
    expect(sharp).to_be_checked()
    page.locator("#detail").fill("0.4")
    expect(sharp).to_be_checked()
    expect(page.locator("#repair")).to_have_value("0")
    expect(chosen).to_be_hidden()

    page.get_by_role("radio", name="Faithful").check()
    give(page, poor)
    wait_for(page, "done", 4)
    entry(page, 4).locator(".pick").click()
    expect(page.get_by_role("radio", name="Faithful")).to_be_checked()
    expect(chosen).to_be_hidden()

    page.get_by_role("button", name="Choose by the picture").click()
    expect(repairs).to_be_checked()
    expect(chosen).to_have_text("Chosen by the picture, which is, or was, a JPEG of quality 60.")
    expect(page.get_by_role("button", name="Choose by the picture")).to_be_hidden()
    give(page, poor)
    wait_for(page, "done", 5)
    entry(page, 5).locator(".pick").click()
    expect(repairs).to_be_checked()
    entry(page, 3).locator(".pick").click()
    expect(page.get_by_role("button", name="Choose by the picture")).to_be_visible()

    with Image.open(photo) as image:
        clean = np.asarray(image)
    Image.fromarray(with_noise(clean, 8, np.random.default_rng(0))).save(tmp_path / "noisy.png")
    give(page, tmp_path / "noisy.png")
    wait_for(page, "done", 6)
    entry(page, 6).locator(".pick").click()
    expect(repairs).to_be_checked()
    expect(chosen).to_have_text(re.compile(r"^Chosen by the picture, which has noise of [\d.]+ levels of 255\.$"))

    Image.fromarray(with_blur(with_noise(clean, 3, np.random.default_rng(0)), 1.5)).save(tmp_path / "soft.png")
    give(page, tmp_path / "soft.png")
    wait_for(page, "done", 7)
    entry(page, 7).locator(".pick").click()
    expect(chosen).to_have_text(re.compile(r"^Chosen by the picture, which has blur of [\d.]+ pixels\.$"))


def test_a_network_that_is_chosen_before_a_number_is_typed_is_the_one(page: Page, photo: Path) -> None:
    give(page, photo)
    wait_for(page, "done")
    page.get_by_label("Size").select_option("Width…")
    page.get_by_label("Width in pixels").fill("")
    page.get_by_role("radio", name="Plain").check()
    page.get_by_label("Width in pixels").fill("200")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".label.after")).to_have_text("bicubic")
    expect(page.get_by_role("radio", name="Plain")).to_be_checked()


def test_a_result_leaves_what_is_being_typed_alone(page: Page, photo: Path) -> None:
    held: list[Route] = []
    page.route("**/v1/upscale*", lambda route: held.append(route))
    give(page, photo)
    wait_for(page, "working")
    page.get_by_label("Size").select_option("Width…")
    width = page.get_by_label("Width in pixels")
    width.fill("")
    page.route("**/v1/upscale*", lambda route: route.continue_())
    held[0].continue_()
    wait_for(page, "done")
    expect(width).to_have_value("")
    width.press_sequentially("300")
    expect(page.locator("#facts")).to_have_text("120 × 80 to 300 × 200 pixels")


def test_the_fast_network_is_repaired_on_a_way_of_its_own(page: Page, photo: Path, tmp_path: Path) -> None:
    give(page, photo)
    wait_for(page, "done")
    slider = page.locator("#repair")
    slider.fill("2")
    page.locator("input[value=srgan-fast]").check()
    expect(slider).to_have_value("0")
    expect(page.locator("#detail")).to_be_disabled()
    for value, name in (("1", "srgan-fast-photo"), ("2", "srgan-fast-deblur")):
        slider.fill(value)
        expect(page.locator(f"input[value={name}]")).to_be_checked()
    slider.fill("0.5")
    expect(page.locator("input[value=srgan-fast]")).to_be_checked()
    expect(page.locator(".mark")).to_have_attribute("data-name", "srgan-fast, repair 0.50")
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "done")
    _, content = download(page)
    (tmp_path / "out").mkdir()
    assert content == by_command(photo, tmp_path / "out", "--model", "srgan-fast", "--repair", "0.5")


def test_what_was_chosen_by_hand_is_not_said_to_be_chosen_by_the_picture(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "a.png")
    give(page, tmp_path / "a.png")
    wait_for(page, "done")
    page.locator("input[value=srgan-fast-photo]").check()
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "done")
    page.route("**/v1/upscale*", lambda route: route.abort())
    page.get_by_role("button", name="Choose by the picture").click()
    wait_for(page, "failed")
    expect(page.locator("#chosen")).to_be_hidden()
    page.get_by_role("button", name="Keep what was there").click()
    expect(page.get_by_role("group", name="a.png")).to_be_focused()


def test_a_page_that_is_left_alone_asks_for_nothing(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    page.locator("#detail").fill("0.5")
    expect(images(page, "after")).to_have_count(2)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    said = page.evaluate(
        """() => new Promise((resolve) => {
            let count = 0;
            const watch = new MutationObserver(() => count++);
            watch.observe(document.getElementById("said"), { childList: true, characterData: true, subtree: true });
            setTimeout(() => resolve(count), 1500);
        })"""
    )
    assert (asked, said) == ([], 0)


def test_the_first_of_several_pages_is_shown(page: Page, tmp_path: Path) -> None:
    teal, brown = (Image.new("RGB", (60, 40), colour) for colour in ("teal", "brown"))
    teal.save(tmp_path / "pages.tif", save_all=True, append_images=[brown])
    give(page, tmp_path / "pages.tif")
    wait_for(page, "failed")
    page.get_by_label("Format").select_option("tiff")
    page.get_by_role("button", name="Try again").click()
    compared(page)
    name, content = download(page)
    assert name == "pages_x4.tif"
    with Image.open(BytesIO(content)) as image:
        assert image.n_frames == 2  # type: ignore[attr-defined]


def test_among_the_fast_networks_the_picture_chooses_as_well(opened: Open, photo: Path, tmp_path: Path) -> None:
    """After a fast one was chosen by hand, and at a service started so; a detail of before is no part of it."""
    poor = tmp_path / "poor.jpg"
    with Image.open(photo) as image:
        image.save(poor, quality=60)
    page = opened()
    give(page, photo, poor)
    wait_for(page, "done", 2)
    page.locator("#detail").fill("0.4")
    entry(page, 2).locator(".pick").click()
    page.locator("input[value=srgan-fast]").check()
    page.get_by_role("button", name="Choose by the picture").click()
    wait_for(page, "done", 2)
    expect(page.locator("input[value=srgan-fast-photo]")).to_be_checked()
    expect(page.locator("#chosen")).to_have_text("Chosen by the picture, which is, or was, a JPEG of quality 60.")
    _, content = download(page)
    (tmp_path / "out").mkdir()
    assert content == by_command(poor, tmp_path / "out", "--model", "auto-fast")
    entry(page, 1).locator(".pick").click()
    page.get_by_label("Size").select_option("2")
    give(page, photo)
    wait_for(page, "done", 3)
    entry(page, 3).locator(".pick").click()
    expect(page.locator("input[value=srgan-fast]")).to_be_checked()
    expect(page.locator("#chosen")).to_be_hidden()

    with served("--model", "auto-fast") as url:
        page = opened(url)
        give(page, photo, poor)
        for number, name in ((1, "srgan-fast"), (2, "srgan-fast-photo")):
            wait_for(page, "done", number)
            entry(page, number).locator(".pick").click()
            expect(page.locator(f"input[value={name}]")).to_be_checked()


def test_what_was_invented_lies_over_the_result(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    page.get_by_role("slider", name="Divider").focus()
    page.keyboard.press("Home")
    plain = seen(page)
    opacity = page.get_by_role("slider", name="How strongly invented detail is shown")
    expect(opacity).to_be_disabled()
    page.get_by_role("checkbox", name="Invented detail").check()
    expect(images(page, "after")).to_have_count(2)
    strong = difference(seen(page), plain)
    opacity.fill("0.1")
    faint = difference(seen(page), plain)
    assert strong > 60
    assert 0 < faint < strong / 2
    page.get_by_role("checkbox", name="Invented detail").uncheck()
    expect(images(page, "after")).to_have_count(1)
    assert difference(seen(page), plain) == 0
    page.get_by_text("More", exact=True).click()
    page.get_by_role("checkbox", name="A texture without seams").check()
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "done")
    with page.expect_request(lambda request: "show=confidence" in request.url) as asked:
        page.get_by_role("checkbox", name="Invented detail").check()
    assert "seamless=true" in asked.value.url, "the map of before is of another result"


@pytest.mark.parametrize("suffix", [".tif", ".heic"])
def test_what_a_browser_does_not_show_is_shown_all_the_same(
    page: Page, photo: Path, tmp_path: Path, suffix: str
) -> None:
    source = tmp_path / f"scan{suffix}"
    pillow_heif.register_heif_opener()
    with Image.open(photo) as image:
        image.save(source)
    give(page, source)
    page.get_by_label("Format").select_option("TIFF")
    wait_for(page, "done")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="Download TIFF")).to_be_visible()
    compared(page)
    name, content = download(page)
    assert name == "scan_x4.tif"
    after = pixels(content)
    shown = seen(page)[place(page, after.shape)]
    assert difference(shown[:, 240:], after[:, 240:]) == 0
    assert difference(shown[:, :240], imresize(pixels(source.read_bytes()), scale=4)[:, :240]) == 0


def test_a_result_too_large_to_show_is_shown_in_parts(opened: Open, photo: Path) -> None:
    source = (Path(__file__).parents[2] / "src" / "srgan" / "web" / "page" / "app.js").read_text()
    assert "const SHOWN = 60e6;" in source
    small = source.replace("const SHOWN = 60e6;", "const SHOWN = 60e3;")
    page = opened(
        prepare=lambda page: page.route(
            "**/page/app.js", lambda route: route.fulfill(body=small, content_type="text/javascript")
        )
    )
    give(page, photo)
    wait_for(page, "done")
    expect(page.locator("#facts")).to_have_text("120 × 80 to 480 × 320 pixels, shown in parts")
    expect(images(page, "before")).to_have_count(2)
    expect(images(page, "after")).to_have_count(2)
    page.get_by_role("checkbox", name="Invented detail").check()
    expect(images(page, "after")).to_have_count(3)
    assert pixels(download(page)[1]).shape == (320, 480, 3)


def test_pictures_that_are_none_say_so(page: Page, photo: Path, tmp_path: Path) -> None:
    expect(page.locator("#reads")).to_contain_text("up to 400 kB, 1.2 megapixels")
    names = ("broken.jpg", "notes.txt", "large.bmp", "wide.png", "near.bmp")
    broken, text, large, wide, near = (tmp_path / name for name in names)
    broken.write_bytes(photo.read_bytes()[:1500])
    text.write_text("no picture")
    Image.new("RGB", (400, 400)).save(large)
    Image.new("L", (1_201, 1_000)).save(wide)
    near.write_bytes(bytes(400_300))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    give(page, broken, text, large, wide, near, photo)
    wait_for(page, "done", 6)
    most = "large.bmp has 480 kB, and the service takes 400 kB at most"
    lines = (
        "broken.jpg: damaged",
        "notes.txt: ",
        most,
        "wide.png has 1.201 megapixels, and the service takes 1.2 megapixels at most",
        "near.bmp has 400300 bytes, and the service takes 400000 at most",
    )
    assert not [url for url in sent if "large.bmp" in url or "wide.png" in url or "near.bmp" in url]
    for number, line in enumerate(lines, 1):
        wait_for(page, "failed", number)
        entry(page, number).locator(".pick").click()
        expect(page.locator("#notice")).to_contain_text(line)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#queue li")).to_have_count(5)


def test_a_file_that_is_changed_after_it_was_given_says_so(page: Page, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.jpg"
    path.write_bytes(photo.read_bytes())
    give(page, path)
    wait_for(page, "done")
    path.write_bytes(photo.read_bytes() + b"more")
    page.get_by_label("Size").select_option("2×")
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "failed")
    expect(page.locator("#notice")).to_contain_text("file was changed, moved or removed")


def test_cancelling_and_a_queue(page: Page, slow: Path, photo: Path) -> None:
    give(page, slow, photo, photo)
    expect(page.locator("#job-text")).to_have_text(re.compile("^(Sending|Waiting|[0-9]+%)"))
    expect(entry(page, 2)).to_contain_text("Waiting")
    entry(page, 3).locator(".pick").click()
    expect(page.locator("#job-text")).to_have_text("Waiting, 2 before it")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("Cancelled")
    wait_for(page, "working", 1)
    entry(page, 1).locator(".pick").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for(page, "cancelled", 1)
    wait_for(page, "done", 2)
    wait_for(page, "cancelled", 3)
    entry(page, 3).locator(".pick").click()
    page.get_by_role("button", name="Start again").click()
    wait_for(page, "done", 3)
    page.get_by_role("button", name="Remove slow.jpg").click()
    with page.expect_download() as first, page.expect_download():
        page.get_by_role("button", name="Download all").click()
    assert first.value.suggested_filename == "photo_x4.png"


def test_progress_is_told_in_percent(page: Page, slow: Path) -> None:
    give(page, slow)
    expect(page.locator("#job-text")).to_have_text(re.compile("^[1-9][0-9]?%"))


def test_what_waits_for_a_busy_service_is_cancelled(page: Page, photo: Path) -> None:
    headers = {"Retry-After": "600"}
    page.route("**/v1/upscale*", lambda route: route.fulfill(status=429, headers=headers, body=""))
    give(page, photo)
    expect(page.locator("#job-text")).to_have_text("The service is busy, trying again")
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for(page, "cancelled")


def dialogs(page: Page) -> list[str]:
    """Return the kinds of the dialogs that the page will have shown, each of which is accepted."""
    shown: list[str] = []

    def accept(dialog: Dialog) -> None:
        shown.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    return shown


def test_leaving_while_a_picture_is_made_is_asked_about(page: Page, photo: Path) -> None:
    asked = dialogs(page)
    page.route("**/v1/upscale*", lambda _: None)
    give(page, photo)
    wait_for(page, "working")
    page.reload()
    assert asked == ["beforeunload"]


def test_the_veil_goes_with_the_drag(page: Page) -> None:
    transfer = page.evaluate_handle(
        "() => { const it = new DataTransfer(); it.items.add(new File(['x'], 'x.png')); return it; }"
    )
    veil = page.locator("#veil")
    for kind, seen_now in (("dragenter", True), ("dragenter", True), ("dragleave", True), ("dragleave", False)):
        page.dispatch_event("#welcome", kind, {"dataTransfer": transfer})
        assert veil.is_visible() == seen_now


def test_each_picture_has_settings_of_its_own(page: Page, photo: Path) -> None:
    page.route("**/v1/upscale*", lambda _: None)
    give(page, photo, photo)
    page.get_by_label("Format").select_option("WEBP")
    page.get_by_label("Quality").fill("70")
    page.get_by_text("More", exact=True).click()
    for name in ("True to the picture", "From eight sides", "A texture without seams", "Leave out EXIF data"):
        page.get_by_role("checkbox", name=name).check()
    fields = (
        "() => ['format', 'quality', 'consistent', 'ensemble', 'seamless', 'strip-it']"
        ".map((id) => document.getElementById(id))"
    )
    told = f"({fields})().map((e) => e.type === 'checkbox' ? e.checked : e.value)"
    chosen = ["webp", "70", True, True, True, True]
    assert page.evaluate(told) == chosen
    entry(page, 2).locator(".pick").click()
    assert page.evaluate(told) == ["png", "", False, False, False, False]
    entry(page, 1).locator(".pick").click()
    assert page.evaluate(told) == chosen
    with page.expect_request(lambda request: "ensemble=true" in request.url) as waiting:
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Start again").click()
        page.get_by_role("button", name="Remove photo.jpg").last.click()
    asked = parse_qs(urlsplit(waiting.value.url).query)
    assert [asked[name] for name in ("format", "quality", "consistent", "seamless", "strip")] == [
        ["webp"],
        ["70"],
        ["true"],
        ["true"],
        ["true"],
    ]


def test_the_part_is_where_was_clicked(page: Page, slow: Path) -> None:
    page.route("**/v1/upscale*", lambda _: None)
    give(page, slow)
    wait_for(page, "working")
    page.get_by_role("button", name="Cancel", exact=True).click()
    wait_for(page, "cancelled")
    box = page.locator("picture-viewer").bounding_box()
    assert box is not None
    with page.expect_request(lambda request: "crop=" in request.url) as waiting:
        page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.3 * box["height"])
    left, top, width, height = cropped(waiting.value.url)
    zoom = min(box["width"] / 900, box["height"] / 600, 4)
    assert left + width / 2 == pytest.approx(450 - 0.15 * box["width"] / zoom, abs=2)
    assert top + height / 2 == pytest.approx(300 - 0.2 * box["height"] / zoom, abs=2)


def test_how_many_wait_before_a_picture_goes_by_their_turns(page: Page, photo: Path) -> None:
    give(page, photo)
    wait_for(page, "done")
    page.route("**/v1/upscale*", lambda _: None)  # which is never answered
    give(page, photo, photo)
    page.get_by_label("Size").select_option("2×")
    page.get_by_role("button", name="Apply", exact=True).click()
    job = page.locator("#job-text")
    expect(job).to_have_text("Waiting, 2 before it")
    entry(page, 3).locator(".pick").click()
    expect(job).to_have_text("Waiting, 1 before it")


def test_what_waits_takes_the_settings_of_its_turn(page: Page, slow: Path, photo: Path) -> None:
    give(page, slow, photo)
    wait_for(page, "working", 1)
    page.get_by_label("Format").select_option("As it came")
    page.get_by_label("Size").select_option("2×")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_hidden()
    page.get_by_role("button", name="These settings for all").click()
    wait_for(page, "done", 2)
    entry(page, 2).locator(".pick").click()
    expect(page.locator("#facts")).to_have_text("120 × 80 to 240 × 160 pixels")
    name, content = download(page)
    assert name == "photo_x2.jpg"
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (240, 160))


def test_every_result_of_many_is_downloaded(page: Page, tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(tmp_path / f"{number:02}.png")
    give(page, *sorted(tmp_path.iterdir()))
    wait_for(page, "done", 12)
    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    page.get_by_role("button", name="Download all").click()
    page.wait_for_timeout(300 * 12 + 1000)
    assert names == [f"{number:02}_x4.png" for number in range(12)]
    names.clear()
    page.get_by_role("button", name="Download all").click()
    entry(page, 12).locator("button").last.click()  # takes it away before its turn
    expect(page.locator("#queue li")).to_have_count(11)
    page.wait_for_timeout(300 * 11 + 1000)
    assert names == [f"{number:02}_x4.png" for number in range(11)]


def test_what_is_lost_on_leaving_is_asked_about(page: Page, photo: Path) -> None:
    asked = dialogs(page)
    give(page, photo)
    wait_for(page, "done")
    page.reload()
    assert asked == ["beforeunload"]
    page.locator("body[data-ready]").wait_for(state="attached")  # before that nobody listens to what is given
    give(page, photo)
    wait_for(page, "done")
    download(page)
    page.reload()
    assert asked == ["beforeunload"]


def test_what_is_no_file_says_so(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    what = {"items": [{"mimeType": "text/plain", "data": "hello"}], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 400, "data": what})
    expect(page.locator("#said")).to_have_text("There is no picture in that.")


def test_what_is_taken_away_leaves_no_memory_behind(opened: Open, photo: Path) -> None:
    count = """
        globalThis.addresses = new Set();
        const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = (blob) => (addresses.add(make(blob)), [...addresses].at(-1));
        URL.revokeObjectURL = (url) => (addresses.delete(url), revoke(url));"""
    page = opened(prepare=lambda page: page.add_init_script(count))
    give(page, photo, photo)
    compared(page)
    page.locator("#detail").fill("0.5")
    expect(images(page, "after")).to_have_count(2)
    assert page.evaluate("addresses.size") > 4
    for _ in range(2):
        page.get_by_role("button", name="Remove photo.jpg").first.click()
    expect(page.locator("#welcome")).to_be_visible()
    assert page.evaluate("addresses.size") == 0
    assert images(page, "after").count() == 0


def test_what_is_decoded_too_late_is_not_shown(opened: Open, photo: Path) -> None:
    hold = """
        const decode = HTMLImageElement.prototype.decode;
        globalThis.held = Promise.resolve();
        HTMLImageElement.prototype.decode = function () { return held.then(() => decode.call(this)); };"""
    page = opened(prepare=lambda page: page.add_init_script(hold))
    give(page, photo)
    compared(page)
    page.evaluate("() => { held = new Promise((resolve) => (globalThis.release = resolve)); }")
    page.locator("#detail").fill("0.5")
    wait_for(page, "done")
    page.get_by_role("button", name="Remove photo.jpg").click()
    expect(page.locator("#welcome")).to_be_visible()
    page.evaluate("release()")
    page.wait_for_timeout(200)
    assert images(page, "before").count() == images(page, "after").count() == 0


def test_all_of_it_by_keyboard(page: Page, photo: Path) -> None:
    def focused() -> str:
        name = "[document.activeElement].map((e) => e.getAttribute('aria-label') || e.textContent.trim() || e.id)[0]"
        return str(page.evaluate(name))

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if focused().startswith(name):
                break
        assert focused().startswith(name)
        outline = page.evaluate("""() => {
            const e = document.activeElement;
            return [e, e.nextElementSibling, e.firstElementChild, e.closest(".card")]
                .some((one) => one && getComputedStyle(one).outlineStyle !== "none");
        }""")
        assert outline, f"the focus on {name} is not seen"

    tab_to("Choose pictures")
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Enter")
    choosing.value.set_files(photo)
    compared(page)
    assert focused().startswith("photo.jpg")
    tab_to("detail")
    page.keyboard.press("ArrowLeft")
    tab_to("Apply")
    page.keyboard.press("Enter")
    expect(page.locator("#applying")).to_be_hidden()
    wait_for(page, "done")
    tab_to("Download PNG")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "photo_x4.png"
    page.keyboard.press("Tab")
    for name in ("Dark colours", "photo.jpg", "Divider", "Zoom out", "Zoom in", "Fit", "100%", "200%", "before", "map"):
        tab_to(name if name not in ("before", "map") else "")
    tab_to("photo.jpg")
    page.keyboard.press("Delete")
    assert focused() == "Choose pictures"


def test_what_a_screen_reader_is_told(page: Page, photo: Path) -> None:
    give(page, photo)
    compared(page)
    expect(page.locator("#said")).to_have_text("photo.jpg is done: 480 by 320 pixels.")
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, a, input, select, [tabindex='0'], img")]
        .filter((e) => e.checkVisibility() && !e.closest("[hidden]"))
        .filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim() || e.alt === ""))
        .map((e) => e.outerHTML)""")
    assert nameless == []
    expect(entry(page).locator(".pick")).to_have_attribute("aria-current", "true")
    snapshot = page.locator("body").aria_snapshot()
    for line in ('heading "photo.jpg"', 'radio "sharp', 'slider "Detail', 'list "Pictures"', 'group "View"'):
        assert line in snapshot


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "dark")])
def test_widths_and_colours(opened: Open, photo: Path, width: int, scheme: Any) -> None:
    page = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    fits = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    give(page, photo, photo)
    wait_for(page, "done", 2)
    page.locator("#detail").fill("0.5")
    expect(page.locator("#stale")).to_be_visible()
    assert page.evaluate(fits)
    for name in ("panel", "tools", "viewer"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    ground = int(pixels(page.screenshot())[5, 5].mean())
    assert ground > 200 if scheme == "light" else ground < 50
    page.get_by_role("button", name=re.compile("colours")).click()
    other = int(pixels(page.screenshot())[5, 5].mean())
    assert other < 50 if scheme == "light" else other > 200


def test_in_a_low_window_all_can_be_read_and_reached(opened: Open, photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / f"{'a long name ' * 8}.jpg"
    broken.write_bytes(photo.read_bytes()[:1500])
    for width, height in ((1280, 400), (320, 200)):
        page = opened(viewport={"width": width, "height": height})
        give(page, broken, photo)
        wait_for(page, "failed")
        frame, notice = (page.locator(name).bounding_box() for name in ("#frame", "#notice"))
        assert frame is not None
        assert notice is not None
        assert notice["y"] >= frame["y"], "its beginning is seen"
        wait_for(page, "done", 2)
        entry(page, 2).locator(".pick").click()
        page.get_by_label("Size").select_option("2")
        field = page.locator("#format")
        field.focus()
        seen_at = """(e) => {
            const {left, top, width, height} = e.getBoundingClientRect();
            return [0.1, 0.9].every((y) => document.elementFromPoint(left + width / 2, top + y * height) === e);
        }"""
        assert field.evaluate(seen_at)
    free = """() => innerHeight - [".actions", "#frame"]
        .filter((name) => getComputedStyle(document.querySelector(name)).position === "sticky")
        .reduce((sum, name) => sum + document.querySelector(name).offsetHeight, 0)"""
    assert page.evaluate(free) > 100


def test_chosen_colours_stay_and_the_others_follow_the_system(opened: Open) -> None:
    page = opened(color_scheme="dark")
    button = page.locator("#theme")
    expect(button).to_have_accessible_name("Light colours")
    page.emulate_media(color_scheme="light")
    expect(button).to_have_accessible_name("Dark colours")
    button.click()
    page.reload()
    expect(button).to_have_accessible_name("Light colours")
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    expect(button).to_have_accessible_name("Light colours")
    assert pixels(page.screenshot())[5, 5].mean() < 50


def test_a_browser_that_keeps_nothing_has_the_page_all_the_same(opened: Open, photo: Path) -> None:
    block = """for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(globalThis, name, {get() { throw new DOMException("blocked", "SecurityError"); }});
    }"""
    with served(SRGAN_TOKEN="sesame") as url:
        page = opened(url, prepare=lambda page: page.add_init_script(block), color_scheme="light")
        button = page.locator("#theme")
        button.click()
        page.emulate_media(color_scheme="dark")
        page.emulate_media(color_scheme="light")
        expect(button).to_have_accessible_name("Light colours")
        assert pixels(page.screenshot())[5, 5].mean() < 50
        give(page, photo)
        page.get_by_label("Token", exact=True).fill("sesame")
        page.keyboard.press("Enter")
        wait_for(page, "done")


def test_a_browser_without_light_dark_has_light_colours(opened: Open, photo: Path) -> None:
    source = (Path(__file__).parents[2] / "src" / "srgan" / "web" / "page" / "style.css").read_text()
    old = source.replace("light-dark(", "nothing-known(")
    page = opened(
        color_scheme="dark",
        prepare=lambda page: page.route(
            "**/page/style.css", lambda route: route.fulfill(body=old, content_type="text/css")
        ),
    )
    expect(page.locator("#theme")).to_be_hidden()
    give(page, photo)
    wait_for(page, "done")
    colours = """() => [
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector("#download")).backgroundColor,
        getComputedStyle(document.querySelector("#before :checked + span")).backgroundColor,
    ]"""
    assert page.evaluate(colours) == ["rgb(245, 245, 243)", "rgb(36, 86, 214)", "rgb(255, 255, 255)"]
    both = re.findall(r"^  (--[a-z-]+): light-dark\((#\w+|rgb\(.+?\)), .+\);$", source, re.MULTILINE)
    assert len(both) == source.count("light-dark(") - 1
    for name, light in both:
        assert f"    {name}: {light};" in source


def test_progress_is_seen_in_forced_colours(opened: Open, photo: Path) -> None:
    page = opened(forced_colors="active")
    give(page, photo)
    compared(page)
    page.evaluate("""() => {
        document.querySelector(".about").append(Object.assign(document.createElement("progress"), {value: 0.5}));
        document.querySelector(".thumb").style.setProperty("--done", 0.5);
    }""")
    bar = pixels(page.locator(".about progress").screenshot())
    foot = pixels(page.locator(".thumb").screenshot())
    for row in (bar[len(bar) // 2], foot[-2]):
        quarter = len(row) // 4
        assert difference(row[quarter], row[-quarter]) > 60


def test_a_service_that_wants_a_token_and_then_ends(opened: Open, photo: Path) -> None:
    with served(SRGAN_TOKEN="sesame") as url:
        page = opened(url)
        give(page, photo)
        page.get_by_label("Token", exact=True).fill("guess")
        page.keyboard.press("Enter")
        expect(page.get_by_text("That was not it.")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("sesame")
        page.keyboard.press("Enter")
        compared(page)
    page.get_by_role("checkbox", name="Invented detail").check()
    expect(page.locator("#said")).to_have_text("The service does not answer. Is it still running?")
    page.get_by_role("checkbox", name="Invented detail").uncheck()
    give(page, photo, photo)
    wait_for(page, "failed", 2)
    wait_for(page, "failed", 3)
    entry(page, 2).locator(".pick").click()
    expect(page.locator("#notice")).to_contain_text("The service does not answer. Is it still running?")
    port = str(urlsplit(url).port)
    with served("--port", port, SRGAN_TOKEN="sesame"):
        page.get_by_role("button", name="Try all 2 again").click()
        wait_for(page, "done", 3)
        entry(page, 1).locator(".pick").click()
        page.get_by_role("checkbox", name="Invented detail").check()
        expect(images(page, "after")).to_have_count(2)


def test_what_the_service_has_to_read_is_read_when_it_is_there_again(page: Page, photo: Path, tmp_path: Path) -> None:
    with Image.open(photo) as image:
        image.save(tmp_path / "scan.tif")
    page.route("**/v1/upscale*", lambda route: route.abort())
    give(page, tmp_path / "scan.tif")
    wait_for(page, "failed")
    page.unroute("**/v1/upscale*")
    page.get_by_role("button", name="Try again").click()
    compared(page)
    expect(entry(page).locator(".thumb img")).to_have_count(1)
    page.locator("#before").get_by_text("Pixels").click()
    expect(images(page, "before")).to_have_count(1)
    expect(images(page, "before")).to_have_class("pixels")


def test_a_token_that_is_not_told(opened: Open, photo: Path) -> None:
    with served(SRGAN_TOKEN="sesame") as url:
        page = opened(url)
        give(page, photo)
        page.get_by_label("Token", exact=True).fill("€")  # which no header can hold
        page.keyboard.press("Enter")
        expect(page.get_by_text("That was not it.")).to_be_visible()
        for _ in range(3):
            page.keyboard.press("Escape")
        wait_for(page, "failed")
        expect(page.locator("#notice")).to_contain_text("This service answers those who know its token.")
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("button", name="Not now").click()
        wait_for(page, "failed")
        page.get_by_role("button", name="Try again").click()
        page.get_by_label("Token", exact=True).fill("sesame")
        page.keyboard.press("Enter")
        wait_for(page, "done")
