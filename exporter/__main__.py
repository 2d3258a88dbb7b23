"""`python -m exporter` is the console script `localai-p2p-exporter`."""

import sys

from exporter.loading import lasting


def main() -> int:
    """Run the program and return its exit code."""
    with lasting():
        from exporter import cli  # noqa: PLC0415
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
