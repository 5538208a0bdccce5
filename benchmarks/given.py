"""Types of the arguments that several of these programs take, for argparse."""


def positive(text: str) -> int:
    """Return a whole number. Raises ValueError for one under 1."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def shape(text: str) -> str:
    """Return WIDTHxHEIGHT as it is. Raises ValueError for what is none."""
    width, height = text.split("x")
    return f"{positive(width)}x{positive(height)}"
