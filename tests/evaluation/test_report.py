import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from runs import photographs, scene
from srgan.data.folders import Pair, Picture8
from srgan.evaluation import Meters, Score, SetScores, Shot, evaluate
from srgan.evaluation.plot import plot
from srgan.evaluation.published import published
from srgan.evaluation.report import CROP, MOST, Report, most_different
from srgan.image.resize import imresize


class Page(HTMLParser):
    """Collects the pictures and the text of a page, and complains of tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img" and values.get("src"):
            self.images.append((str(values["alt"]), str(values["src"])))
        if tag not in ("img", "meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Results like the originals, but with a darker corner."""
    made = tmp_path / "a & b"
    made.mkdir()
    for i in range(2):
        hr = scene(200, 180, seed=i)
        hr[100:, 100:] //= 2
        Image.fromarray(hr).save(made / f"{i:02d}.png")
    return made


def test_the_page_by_its_parts(tmp_path: Path, made: Path) -> None:
    folder = photographs(tmp_path / "Set5", count=2, size=(200, 180))
    report = Report()
    meters = Meters(metrics=["psnr_y", "ssim_y"])
    results = list(evaluate(["bicubic"], [folder], made=[made], meters=meters, watch=report.add))
    report.write(tmp_path / "report" / "index.html", results, {"a.safetensors": "0123"})
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=.(?!data:)[^\"' ]", html), "something is loaded"
    assert "$" not in html
    page = Page()
    page.feed(html)
    assert page.open == []
    text = " ".join(page.text)
    assert "Ledig et al. 2017" in text
    assert "a.safetensors: SHA-256 0123" in text
    assert "columns 20 to 179, rows 40 to 199" in text

    names = [alt for alt, _ in page.images]
    assert names[:4] == [
        f"{names[0].split(':')[0]}: {name}"
        for name in ("low resolution", "bicubic", names[2].split(": ")[1], "original")
    ]
    assert len(page.images) == 8
    crops = [np.asarray(Image.open(io.BytesIO(base64.b64decode(s.split(",")[1])))) for _, s in page.images[:4]]
    assert all(crop.shape == (CROP, CROP, 3) for crop in crops)
    number = int(names[0][:2])
    assert np.array_equal(crops[3], scene(200, 180, seed=number)[40:, 20:])


def test_the_window_where_pictures_differ_most() -> None:
    a = np.zeros((60, 80, 3), np.uint8)
    b = a.copy()
    b[30:40, 50:60] = 90
    b[0, 0] = 255
    assert most_different([a, b], 10, 10) == (30, 50, 90.0)
    assert most_different([a[..., 0], b[..., 0], a[..., 0]], 60, 80)[:2] == (0, 0)


def test_only_the_pictures_that_differ_most_are_shown(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "many", count=MOST + 1, size=(24, 24))
    report = Report()
    results = list(evaluate(["bicubic"], [folder], meters=Meters(metrics=["psnr_y"]), watch=report.add))
    report.write(tmp_path / "index.html", results, {})
    page = Page()
    page.feed((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(page.images) == 3 * MOST
    assert f"{MOST} of {MOST + 1} pictures" in " ".join(page.text)


def shot(name: str, hr: Picture8, **results: Picture8) -> Shot:
    pair = Pair(Path(name), imresize(hr, scale=0.25), hr)
    return Shot("Set", pair, results, {model: {"psnr_y": 20.0} for model in results})


def page_of(tmp_path: Path, report: Report, *results: SetScores) -> str:
    report.write(tmp_path / "index.html", results, {})
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def scored(model: str, **values: float) -> SetScores:
    return SetScores(model, "Set", "", (Score("a", values), Score("b", values)))


def test_the_pictures_that_differ_most_come_first(tmp_path: Path) -> None:
    report, flat = Report(), np.zeros((24, 24, 3), np.uint8)
    for name, level in {"some": 20, "least": 10, "most": 30}.items():
        report.add(shot(f"{name}.png", flat, one=flat, two=np.full_like(flat, level)))
    html = page_of(tmp_path, report, scored("one", psnr_y=1.0), scored("two", psnr_y=1.0))
    assert re.findall(r"<h3>(\w+)\.png</h3>", html) == ["most", "some", "least"]
    assert re.findall(r"differ by ([\d.]+) levels", html) == ["30.0", "20.0", "10.0"]


def test_the_window_is_where_models_differ_and_of_one_alone_where_it_is_wrong(tmp_path: Path) -> None:
    hr = np.zeros((200, 200, 3), np.uint8)
    hr[:8, :8] = 255
    one = np.zeros_like(hr)
    two = one.copy()
    two[192:, 192:] = 9
    report = Report()
    report.add(shot("a.png", hr, one=one, two=two))
    assert "columns 40 to 199, rows 40 to 199" in page_of(tmp_path, report, scored("one"), scored("two"))
    report = Report()
    report.add(shot("a.png", hr, two=two))
    assert "columns 0 to 159, rows 0 to 159" in page_of(tmp_path, report, scored("two"))


def test_bicubic_and_the_last_model_are_compared_first(tmp_path: Path) -> None:
    report, flat = Report(), np.zeros((24, 24, 3), np.uint8)
    report.add(shot("a.png", flat, one=flat, two=flat))
    selects = re.findall(r"<select>(.*?)</select>", page_of(tmp_path, report, scored("one"), scored("two")))
    options = [re.findall(r'<option (selected )?value="(\d)">([\w ]+)<', select) for select in selects]
    names = ["low resolution", "bicubic", "one", "two", "original"]
    for shown, chosen in zip(options, ("bicubic", "two"), strict=True):
        assert shown == [("selected " if name == chosen else "", str(i), name) for i, name in enumerate(names)]


def test_the_only_model_is_compared_with_the_original_first(tmp_path: Path) -> None:
    report, flat = Report(), np.zeros((24, 24, 3), np.uint8)
    report.add(shot("a.png", flat))
    selects = re.findall(r"<select>(.*?)</select>", page_of(tmp_path, report, scored("bicubic")))
    assert [re.findall(r'selected value="\d">([\w ]+)<', select) for select in selects] == [["bicubic"], ["original"]]


def test_the_best_of_several_is_marked_by_what_a_metric_is(tmp_path: Path) -> None:
    a = scored("a", psnr_y=30.0, lr_psnr=60.0, lpips=0.3, niqe=4.0)
    b = scored("b", psnr_y=29.0, lr_psnr=50.0, lpips=0.1, niqe=3.0)
    html = page_of(tmp_path, Report(), a, b)
    assert re.findall(r'<td class="best">([\d.]+)<', html) == ["30.00", "60.00", "0.1000", "3.00"]
    assert html.index('"best">60.00') < html.index("<tr><td>b</td>") < html.index('"best">0.1000')
    assert '<td class="best">' not in page_of(tmp_path, Report(), a)


def test_the_plot_places_measured_and_published_points() -> None:
    values = [{"psnr_y": 28.0, "lpips": 0.3}, {"psnr_y": 30.0, "lpips": 0.1}]
    results = [
        SetScores("bad", "Set5", "", (Score("a", values[0]), Score("b", values[0]))),
        SetScores("good", "Set5", "", (Score("a", values[1]), Score("b", values[1]))),
    ]
    svg = ElementTree.fromstring(plot(results, published("Set5"))).find("svg")
    assert svg is not None
    bad, good = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in svg.findall("circle[@class='ours']")]
    assert bad[0] < good[0]
    assert bad[1] < good[1]  # down is less LPIPS
    assert len(svg.findall("circle[@class='theirs']")) == 6
    assert {"bad", "good", "ESRGAN", "SPSR"} <= {text.text for text in svg.findall("text")}


def test_no_plot_without_both_metrics() -> None:
    only = SetScores("m", "Set5", "", (Score("a", {"psnr_y": 28.0}),))
    assert plot([only], published("Set5")) == ""
    perfect = SetScores("m", "Set5", "", (Score("a", {"psnr_y": float("inf"), "lpips": 0.0}),))
    assert plot([perfect], published("Set5")) == ""


def test_names_that_are_not_unicode_are_written_with_backslashes(tmp_path: Path) -> None:
    results = [SetScores("m", "Set5", "", (Score("caf\udce9.png", {"psnr_y": 28.0}),))]
    Report().write(tmp_path / "index.html", results, {})
    assert r"caf\udce9.png" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_names_are_no_markup(tmp_path: Path) -> None:
    name = "<b>&.png"
    values = {"psnr_y": 28.0, "lpips": 0.1}
    results = [SetScores(f"{model}{name}", name, "", (Score(name, values),), lr=name) for model in ("m", "n")]
    report, picture = Report(), scene(32, 32, seed=0)
    pair = Pair(Path(name), imresize(picture, scale=0.25), picture)
    report.add(Shot(name, pair, {r.model: picture for r in results}, {r.model: values for r in results}))
    report.write(tmp_path / "index.html", results, {name: "c0ffee"})
    content = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert content.count("&lt;b&gt;&amp;.png") > 10
    assert "<b>" not in content
