"""A program to put before the exporter's command line: it runs that, and prints which thread began to load what.

It also prints how many seconds a thread keeps the interpreter while another one wants it.
"""

import json
import sys
import threading
from collections.abc import Sequence


class Recorder:
    """A finder that finds nothing: it is asked for each module that is not loaded yet.

    Attributes:
        began: by module, the thread that was the first to want it.
    """

    def __init__(self) -> None:
        self.began: dict[str, str] = {}

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> None:
        self.began.setdefault(name, threading.current_thread().name)


def main(line: Sequence[str]) -> int:
    words = line[line.index("exporter") + 1 :]
    recorder = Recorder()
    sys.meta_path.insert(0, recorder)
    from exporter import cli  # noqa: PLC0415 - what it loads is recorded

    try:
        return cli.main(words)
    finally:
        sys.stdout.write(json.dumps({"began": recorder.began, "turn": sys.getswitchinterval()}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
