"""Figures that papers give, to set beside measured ones: never measured here, never in a table with those.

Their protocols are not quite ours. The SSIM of SRGAN's paper is higher than what its description yields (bicubic on
Set5: .8211 where the field has .8104), and SPSR takes Set14's one gray picture for RGB, which makes bicubic
26.10 dB and not 26.00.
"""

from dataclasses import dataclass

SRGAN_PAPER = "Ledig et al. 2017 (arXiv 1609.04802), table 2"
SPSR_README = "Ma et al. 2020, README of github.com/Maclory/SPSR"


@dataclass(frozen=True)
class Published:
    """What `source` says of a method on a set at four times the size; `values` by the names in METRICS, and mos."""

    method: str
    folder: str
    values: dict[str, float]
    source: str


def _rows(source: str, metrics: tuple[str, ...], table: dict[str, dict[str, tuple[float, ...]]]) -> list[Published]:
    return [
        Published(method, folder, dict(zip(metrics, values, strict=True)), source)
        for method, sets in table.items()
        for folder, values in sets.items()
    ]


PUBLISHED: tuple[Published, ...] = (
    *_rows(
        SRGAN_PAPER,
        ("psnr_y", "ssim_y", "mos"),
        {
            "nearest": {
                "Set5": (26.26, 0.7552, 1.28),
                "Set14": (24.64, 0.7100, 1.20),
                "BSD100": (25.02, 0.6606, 1.11),
            },
            "bicubic": {
                "Set5": (28.43, 0.8211, 1.97),
                "Set14": (25.99, 0.7486, 1.80),
                "BSD100": (25.94, 0.6935, 1.47),
            },
            "SRResNet": {
                "Set5": (32.05, 0.9019, 3.37),
                "Set14": (28.49, 0.8184, 2.98),
                "BSD100": (27.58, 0.7620, 2.29),
            },
            "SRGAN": {
                "Set5": (29.40, 0.8472, 3.58),
                "Set14": (26.02, 0.7397, 3.72),
                "BSD100": (25.16, 0.6688, 3.56),
            },
        },
    ),
    *_rows(
        SPSR_README,
        ("psnr_y", "lpips"),
        {
            "bicubic": {
                "Set5": (28.420, 0.3407),
                "Set14": (26.100, 0.4393),
                "BSD100": (25.961, 0.5249),
                "Urban100": (23.145, 0.4726),
            },
            "SRGAN": {
                "Set5": (29.168, 0.0882),
                "Set14": (26.171, 0.1663),
                "BSD100": (25.459, 0.1980),
                "Urban100": (24.397, 0.1551),
            },
            "SFTGAN": {
                "Set5": (29.932, 0.0890),
                "Set14": (26.223, 0.1481),
                "BSD100": (25.505, 0.1769),
                "Urban100": (24.013, 0.1433),
            },
            "ESRGAN": {
                "Set5": (30.454, 0.0748),
                "Set14": (26.276, 0.1329),
                "BSD100": (25.317, 0.1614),
                "Urban100": (24.360, 0.1229),
            },
            "NatSR": {
                "Set5": (30.991, 0.0939),
                "Set14": (27.514, 0.1758),
                "BSD100": (26.445, 0.2114),
                "Urban100": (25.464, 0.1500),
            },
            "SPSR": {
                "Set5": (30.400, 0.0644),
                "Set14": (26.640, 0.1318),
                "BSD100": (25.505, 0.1611),
                "Urban100": (24.799, 0.1184),
            },
        },
    ),
)
"""All figures. SPSR's SRGAN is the one of github.com/tensorlayer/srgan, not the paper's own."""


def published(folder: str) -> list[Published]:
    """Return what papers say of the test set of this name."""
    return [row for row in PUBLISHED if row.folder == folder]
