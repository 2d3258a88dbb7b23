"""`python -m exporter` is the console script `localai-p2p-exporter`."""

import sys

from exporter.cli import main

if __name__ == "__main__":
    sys.exit(main())
