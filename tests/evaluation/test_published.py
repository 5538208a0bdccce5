from srgan.evaluation.meters import METRICS
from srgan.evaluation.published import PUBLISHED, SPSR_README, SRGAN_PAPER, published


def test_each_figure_has_a_source_and_stands_once() -> None:
    places = [(row.method, row.folder, row.source) for row in PUBLISHED]
    assert len(set(places)) == len(places)
    assert {row.source for row in PUBLISHED} == {SRGAN_PAPER, SPSR_README}
    assert {name for row in PUBLISHED for name in row.values} <= {*METRICS, "mos"}


def test_the_figures_are_as_they_were_published() -> None:
    found = {(row.method, row.source): row.values for row in published("Set5")}
    assert found["SRGAN", SRGAN_PAPER] == {"psnr_y": 29.40, "ssim_y": 0.8472, "mos": 3.58}
    assert found["ESRGAN", SPSR_README] == {"psnr_y": 30.454, "lpips": 0.0748}
    assert published("nothing") == []
