import numpy as np
import pytest
import skimage.data
from safetensors.numpy import load_file

from references import CALIBRATION, REFERENCE, TEST_SETS, chelsea, rgb, with_calibration, with_test_sets
from runs import scene
from srgan.errors import DataError
from srgan.metrics import luma, niqe
from srgan.metrics.naturalness import PRISTINE, _normalised


def test_niqe_is_basicsrs() -> None:
    sr, hr = (niqe(np.rint(luma(picture))) for picture in chelsea())
    assert hr == pytest.approx(REFERENCE["niqe"]["hr"], rel=1e-4)
    assert sr == pytest.approx(REFERENCE["niqe"]["sr"], rel=5e-3)  # flat areas: rounding errors count there, not here
    camera = skimage.data.camera().astype(np.float64)  # type: ignore[no-untyped-call]
    assert niqe(camera) == pytest.approx(REFERENCE["niqe"]["camera"], rel=5e-3)


def test_levels_of_8_bits_do_not_wrap_around_and_colours_are_refused() -> None:
    camera = skimage.data.camera()  # type: ignore[no-untyped-call]
    assert niqe(camera) == niqe(camera.astype(np.float64))
    with pytest.raises(DataError, match=r"NIQE is of planes \(H, W\), not of an array \(512, 512, 3\)"):
        niqe(np.dstack([camera] * 3))


def test_the_pristine_model_is_a_distribution() -> None:
    model = load_file(PRISTINE)
    assert model["mean"].shape == (36,)
    assert np.array_equal(model["covariance"], model["covariance"].T)
    assert np.linalg.eigvalsh(model["covariance"]).min() > 0


def test_what_is_left_over_is_not_looked_at() -> None:
    picture = luma(scene(100, 200, seed=0))
    assert niqe(np.rint(picture)) == niqe(np.rint(picture[:96, :192]))


def test_pictures_that_niqe_cannot_measure() -> None:
    with pytest.raises(DataError, match="NIQE needs two blocks of 96x96, not 191x97"):
        niqe(np.zeros((97, 191)))
    with pytest.raises(DataError, match="NIQE finds no texture"):
        niqe(np.full((96, 192), 7.0))


@with_test_sets
def test_niqe_is_matlabs() -> None:
    baboon = rgb(TEST_SETS / "Set14" / "img_001.png")
    assert niqe(np.rint(luma(baboon))) == pytest.approx(REFERENCE["set14"]["niqe_baboon"], abs=1e-6)


@with_calibration
def test_niqe_is_matlabs_within_a_hundredth() -> None:
    """The same to ten digits where no part is flat (I04): see `_normalised`."""
    for picture, value in REFERENCE["calibration"]["niqe"].items():
        pixels = rgb(CALIBRATION / "dist_dir" / f"{picture}.bmp")
        gray = np.rint(pixels @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103]))
        assert niqe(gray) == pytest.approx(value, rel=1e-11 if picture == "I04" else 0.01)


def test_what_is_flat_is_nothing_and_no_rounding_error() -> None:
    for level in range(256):
        assert not _normalised(np.full((9, 11), float(level))).any()
    half = np.full((40, 40), 77.0)
    half[:, 20:] = 179
    normal = _normalised(half)
    assert not normal[:, :17].any()
    assert not normal[:, 23:].any()
    assert (normal[:, 19] < 0).all()
    assert (normal[:, 20] > 0).all()
