"""SRGAN (Ledig et al. 2017) as software: pictures of four times the size."""

__version__ = "0.1.0"
