"""The page for people: one answer, put together when somebody first looks at it, and headers that let it do no more.

Beside this file lie its parts: `page.html`, into which the style and the scripts go, `page.css`, and the scripts, which
are one: `words.js` and `judge.js` say what things are called and what they mean, `page.js` asks and shows.
"""

import html
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from exporter import __version__
from exporter.http1 import Request, Response
from exporter.settings import DISCOVERY_PATH

_FOLDER = Path(__file__).parent


class Page:
    """Answers with the page; what it shows its script asks for.

    Args:
        telemetry_path: where the metrics are.
        many: whether they are of many targets.
    """

    def __init__(self, telemetry_path: str, *, many: bool) -> None:
        style, script = _read("page.css"), "\n".join(map(_read, ("words.js", "judge.js", "page.js")))
        parts = {
            "metrics": html.escape(f".{telemetry_path}"),
            "version": html.escape(__version__),
            "view": "targets" if many else "cluster",
            "discovery": f'<a href=".{DISCOVERY_PATH}">Discovery</a>\n' if many else "",
            "style": style,
            "script": script,
        }
        # In one step, so that what goes in is left as it is.
        text = re.sub(r"@(\w+)@", lambda mark: parts[mark[1]], _read("page.html"))
        self._response = Response((text.encode(),), "text/html; charset=utf-8", headers=_headers(style, script))

    def __call__(self, _: Request) -> Response:
        """Answer a request."""
        return self._response


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _headers(style: str, script: str) -> Mapping[str, str]:
    policy = {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",  # its icon
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",  # so that no text becomes HTML, whoever changes the script
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hash(inline: str) -> str:
    """Return the source expression that lets in what stands in the page so, and nothing else."""
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
