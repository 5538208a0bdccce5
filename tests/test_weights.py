import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import onnx
import pytest

from srgan import weights
from srgan.errors import ArgumentError, WeightsError
from srgan.weights import (
    NAMES,
    Choice,
    WeightsFiles,
    choose,
    counterpart,
    find_weights,
    is_left_to_pixels,
    parse_card,
    read_card,
)

CARD = {"name": "a", "network": "b", "scale": 4, "halo": 12}


def safetensors(path: Path, header: object) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


def test_a_shipped_name_is_a_pair_of_files(shipped: Path) -> None:
    fast = ("srgan-fast", "srgan-fast-photo", "srgan-fast-deblur")
    assert ("srgan-plus", "srgan-photo", "srgan-deblur", *fast, "srgan", "srresnet") == NAMES
    assert find_weights("srgan") == WeightsFiles(shipped / "srgan.onnx", shipped / "srgan.safetensors")


def test_what_is_shipped_comes_with_its_cards(shipped: Path) -> None:
    networks = weights.shipped()
    assert [network.name for network in networks] == list(NAMES)
    assert networks[0].size == (shipped / "srgan-plus.onnx").stat().st_size
    assert networks[-1].card["name"] == "srresnet"
    assert networks[1].card["halo"] == 12


def test_auto_is_what_a_jpegs_quality_asks_for() -> None:
    halfway, repaired = Choice("srgan-plus", repair=0.5), Choice("srgan-photo")
    asked = {None: Choice("srgan-plus"), 1: repaired, 90: repaired, 91: halfway, 97: halfway, 98: Choice("srgan-plus")}
    for quality, choice in asked.items():
        coding = None if quality is None else ("JPEG", quality)
        assert choose("auto", coding=coding) == choice
        assert choose("auto", 0.5, coding=coding) == Choice("srgan-plus", detail=0.5)
        assert choose("auto", repair=0.2, coding=coding) == Choice("srgan-plus", repair=0.2)
        for model in ("srgan-plus", "srresnet", Path("mine.onnx")):
            assert choose(model, coding=coding) == Choice(model)
    asked = {None: Choice("srgan-fast"), 90: Choice("srgan-fast-photo"), 97: Choice("srgan-fast", repair=0.5)}
    for quality, choice in asked.items():
        coding = None if quality is None else ("JPEG", quality)
        assert choose("auto-fast", coding=coding) == choice
        assert choose("srgan-fast", coding=coding) == Choice("srgan-fast")
    for quality, choice in ((0, repaired), (65, repaired), (66, halfway), (90, halfway), (91, Choice("srgan-plus"))):
        assert choose("auto", coding=("WebP", quality)) == choice
    for quality, choice in ((0, repaired), (60, repaired), (61, halfway), (80, halfway), (81, Choice("srgan-plus"))):
        assert choose("auto", coding=("AVIF", quality)) == choice


def test_auto_is_what_noise_asks_for_where_that_is_more() -> None:
    assert repr(choose("srgan-plus", repair=cast(float, Fraction(1, 2)))) == repr(Choice("srgan-plus", repair=0.5))
    plain, halfway, repaired = Choice("srgan-plus"), Choice("srgan-plus", repair=0.5), Choice("srgan-photo")
    asked = {0.0: plain, 1.4: plain, 1.5: halfway, 3.4: halfway, 3.5: repaired, 60.0: repaired}
    for noise, choice in asked.items():
        assert choose("auto", noise=noise) == choose("auto", coding=("JPEG", 98), noise=noise) == choice
        assert choose("auto", coding=("JPEG", 90), noise=noise) == repaired
        assert choose("auto", coding=("WebP", 90), noise=noise) == (repaired if noise >= 3.5 else halfway)
        assert choose("auto", repair=0.2, noise=noise) == Choice("srgan-plus", repair=0.2)
        assert choose("auto", 0.5, noise=noise) == Choice("srgan-plus", detail=0.5)
        assert choose("srgan-plus", noise=noise) == plain
    assert choose("auto-fast", noise=2) == Choice("srgan-fast", repair=0.5)
    assert choose("auto-fast", noise=4) == Choice("srgan-fast-photo")


def test_pixels_are_looked_at_where_they_may_ask_for_more_than_the_file() -> None:
    for said in (None, ("JPEG", 97), ("WebP", 90)):
        assert is_left_to_pixels("auto", said=said)
        assert is_left_to_pixels("auto-fast", said=said)
        assert not is_left_to_pixels("srgan-plus", said=said)
        assert not is_left_to_pixels("auto", repair=1, said=said)
    for model in ("auto", "auto-fast"):
        assert is_left_to_pixels(model, said=("JPEG", 60))
        assert not is_left_to_pixels(model, said=("JPEG", 60), consistent=True)


def test_auto_takes_a_network_by_blur_as_well() -> None:
    plain, halfway, deblurring = Choice("srgan-plus"), Choice("srgan-plus", repair=1.5), Choice("srgan-deblur")
    for blur, choice in ((None, plain), (0, plain), (0.24, plain), (0.25, halfway), (0.59, halfway), (0.6, deblurring)):
        assert choose("auto", blur=blur) == choice
        poor = choose("auto", coding=("JPEG", 60), noise=10, blur=blur)
        assert poor == (Choice("srgan-photo") if choice == plain else choice)
        assert choose("auto", blur=blur, consistent=True) == plain  # it would put the blur back
        fast = {plain: "srgan-fast", deblurring: "srgan-fast-deblur"}
        assert choose("auto-fast", blur=blur) == (
            Choice("srgan-fast", repair=1.5) if choice == halfway else Choice(fast[choice])
        )
        assert choose("auto-fast", noise=2, blur=blur) == (
            Choice("srgan-fast", repair=0.5) if choice == plain else choose("auto-fast", blur=blur)
        )
        assert choose("auto-fast", noise=2, blur=blur, consistent=True) == Choice("srgan-fast", repair=0.5)
        assert choose("auto", repair=0.2, blur=blur) == Choice("srgan-plus", repair=0.2)
        assert choose("srgan-photo", blur=blur) == Choice("srgan-photo")


def test_the_networks_along_repair_are_the_plain_ones() -> None:
    plain = [Choice("srgan-plus"), Choice("srgan-photo"), Choice("srgan-deblur")]
    assert [choose("srgan-plus", repair=repair) for repair in (0, 1, 2.0)] == plain
    assert [choice.between for choice in plain] == [(choice.model, None, 0) for choice in plain]
    assert choose("auto", repair=0, coding=("JPEG", 60)) == Choice("srgan-plus")
    for model in ("srgan-fast", "auto-fast"):
        names = ["srgan-fast", "srgan-fast-photo", "srgan-fast-deblur"]
        assert [choose(model, repair=repair) for repair in (0, 1, 2)] == [Choice(name) for name in names]
        assert choose(model, repair=0.25).between == (*names[:2], 0.25)
        assert choose(model, repair=1.25).between == (*names[1:], 0.25)


@pytest.mark.parametrize(
    ("how", "between"),
    [
        ({"detail": 0.75}, ("srgan-plus", "srresnet", 0.25)),
        ({"repair": 0.75}, ("srgan-plus", "srgan-photo", 0.75)),
        ({"repair": 1.75}, ("srgan-photo", "srgan-deblur", 0.75)),
    ],
)
def test_a_choice_on_its_way_is_between_two_networks(how: dict[str, Any], between: tuple[str, str, float]) -> None:
    choice = choose("auto", **how)
    assert choice == Choice("srgan-plus", **how)
    assert choice.between == between


def test_what_a_network_invented_is_seen_beside_another_one() -> None:
    assert {name: counterpart(name) for name in NAMES} == {
        "srgan-plus": "srresnet",
        "srgan-photo": "srresnet",
        "srgan-deblur": "srresnet",
        "srgan-fast": "srresnet",
        "srgan-fast-photo": "srresnet",
        "srgan-fast-deblur": "srresnet",
        "srgan": "srresnet",
        "srresnet": "srgan-plus",
    }


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"repair": 0.5, "detail": 0.5}, "detail and repair are two ways that begin at srgan-plus: one of them"),
        ({"repair": 2.5}, r"repair goes from 0, srgan-plus, to 2, srgan-deblur; not 2\.5 of auto"),
        ({"repair": float("nan")}, r"repair goes from 0, srgan-plus, to 2, srgan-deblur; not nan of auto"),
        ({"repair": "much"}, r"repair is a number from 0 to 2, not 'much'"),
        ({"repair": 0.5, "model": "srgan-photo"}, r"repair goes .+; not 0\.5 of srgan-photo"),
        (
            {"repair": 3, "model": "auto-fast"},
            "repair goes from 0, srgan-fast, to 2, srgan-fast-deblur; not 3 of auto-fast",
        ),
        ({"detail": 0.5, "model": "srgan-fast"}, r"detail goes .+, to 1, srgan-plus; not 0\.5 of srgan-fast"),
        ({"detail": -1, "model": "srgan-plus"}, "detail goes from 0, srresnet, to 1, srgan-plus; not -1 of srgan-plus"),
    ],
)
def test_a_choice_that_cannot_be_is_one_line(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}$"):
        choose(**{"model": "auto", **how})


def test_an_installation_without_its_weights_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.weights._FOLDER", tmp_path)
    (tmp_path / "srgan.onnx").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"srgan: this installation lacks srgan\.safetensors$"):
        find_weights("srgan")


def test_a_file_of_the_users(tmp_path: Path, tiny_onnx: Path) -> None:
    assert find_weights(str(tiny_onnx)) == WeightsFiles(tiny_onnx, None)
    path = safetensors(tmp_path / "net.SAFETENSORS", {})
    assert find_weights(path) == WeightsFiles(None, path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "esrgan",
            r"esrgan: no model of this name \(srgan-plus, srgan-photo, srgan-deblur, srgan-fast, srgan-fast-photo, "
            r"srgan-fast-deblur, srgan, srresnet\), "
            r"and no \.onnx or \.safetensors file",
        ),
        ("net.pth", r"net\.pth: no model of this name"),
        ("gone.onnx", r"gone\.onnx: no such file"),
    ],
)
def test_an_unknown_model_names_the_known_ones(model: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        find_weights(model)


def test_a_network_of_another_kind_of_file_leads_to_where_it_is_told_how_to_run_it(tmp_path: Path) -> None:
    (tmp_path / "4x.pth").write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"4x\.pth: neither .*; other programs.*docs/models\.md"):
        find_weights(tmp_path / "4x.pth")


def test_a_checksum_is_that_of_what_the_file_holds_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2, appendix B.1
    assert weights.checksum(file) == weights.checksum(b"abc") == known
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
        assert weights.checksum(file) == known
    file.write_bytes(b"abcd")
    assert weights.checksum(file) == weights.checksum(b"abcd") != known
    file.unlink()
    with pytest.raises(FileNotFoundError):
        weights.checksum(file)


def test_a_card_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "net.safetensors", {"__metadata__": {"srgan": json.dumps(CARD | {"more": 1})}})
    assert read_card(path) == CARD | {"more": 1}


def test_a_card_that_is_nested_without_end_is_an_error(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(WeightsError, match="its card is not JSON"):
        parse_card(deep, "net.onnx")
    content = f'{{"__metadata__":{deep}}}'.encode()
    (tmp_path / "net.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(WeightsError, match=r"net\.safetensors: damaged, or not a safetensors file"):
        read_card(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"garbage",
        b"\xff" * 100,
        (10).to_bytes(8, "little") + b"{",
        (4).to_bytes(8, "little") + b"\xff{}}",
    ],
)
def test_a_damaged_header_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.safetensors: damaged, or not a safetensors file"):
        read_card(path)


@pytest.mark.parametrize("header", [[], {}, {"__metadata__": []}, {"__metadata__": {"format": "pt"}}])
def test_a_file_without_a_card_is_not_ours(tmp_path: Path, header: object) -> None:
    with pytest.raises(WeightsError, match="holds no card"):
        read_card(safetensors(tmp_path / "net.safetensors", header))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its card is not JSON"),
        ("[]", "its card is not a JSON object"),
        (json.dumps(CARD | {"scale": "4"}), "its card lacks 'scale'"),
        (json.dumps(CARD | {"halo": True}), "its card lacks 'halo'"),
        (json.dumps({"name": "a"}), "its card lacks 'network'"),
        (json.dumps(CARD | {"scale": 1}), "its card has an impossible scale or halo"),
        (json.dumps(CARD | {"halo": -1}), "its card has an impossible scale or halo"),
        (json.dumps(CARD | {"training": "long"}), "its card has 'training' of the wrong kind"),
        (json.dumps(CARD | {"scores": {"Set5": 3}}), "its card has 'scores' of the wrong kind"),
    ],
)
def test_a_card_that_cannot_be_is_an_error(text: str, message: str) -> None:
    with pytest.raises(WeightsError, match=f"^net: {message}"):
        parse_card(text, "net")


@pytest.mark.skipif(not (weights._FOLDER / "srgan.onnx").exists(), reason="the weights are not in this tree yet")
def test_the_weights_that_are_shipped_have_whole_cards() -> None:
    networks = weights.shipped()
    assert [network.card["name"] for network in networks] == list(NAMES)
    for network in networks:
        card = network.card
        size = {"srresnet_plain_x4": (40, 1_546_435), "srresnet_compact_x4": (35, 320_496)}[card["network"]]
        assert (card["scale"], card["halo"], card["parameters"]) == (4, *size)
        assert card["licence"]
        assert card["summary"]
        assert card["training"]["data"]
        assert card["scores"]


def test_the_card_of_an_onnx_file_is_read_without_its_tensors(tiny_onnx: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_onnx)
    assert read_card(tiny_onnx) == json.loads({entry.key: entry.value for entry in model.metadata_props}["srgan"])
    for name in NAMES:
        files = find_weights(name)
        assert files.onnx is not None
        assert read_card(files.onnx) == read_card(files.one)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "none.onnx")
    with pytest.raises(WeightsError, match="holds no card"):
        read_card(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"not ONNX", b"\x3a\xff\xff", b"\x3a\x05abc", b"\xff" * 20, b"\x72\x02\x0a\x09"])
def test_a_damaged_onnx_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.onnx: (damaged, or not an ONNX model|holds no card)"):
        read_card(path)
