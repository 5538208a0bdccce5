"""``python -m srgan`` is the command srgan."""

from srgan.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
