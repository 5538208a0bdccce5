"""``python -m srgan`` is the command srgan."""

from srgan.cli import program

if __name__ == "__main__":
    program()
