"""What LocalAI, or whatever answers in its place, may do, and what the exporter must do then.

Each row is proven by the tests that carry its id: `@pytest.mark.fault("drip-body")`. `test_fault_rows.py` holds the two
together. Unless a row says otherwise, the poll fails for the reason given, the last snapshot stays, the page stays
valid, and the next good answer is understood.
"""

from collections.abc import Mapping

ROWS: Mapping[str, str] = {
    # Time
    "drip-body": "a body that drips: timeout at the deadline",
    "drip-header": "a header that drips: timeout at the deadline",
    "drip-chunk": "chunks that drip: timeout at the deadline",
    "endless-100": "100 Continue without end: timeout at the deadline",
    "stall": "an answer that stops in the middle: timeout at the deadline",
    "no-reply": "a connection that is taken and never answered: timeout at the deadline",
    "dns-slow": "a lookup that hangs: dns at the deadline, and while it is busy; one daemon thread, one lookup",
    "dns-failing": "a lookup that fails: dns",
    # Size
    "json-500-mb": "500 MB of JSON: too_large",
    "length-over-cap": "a Content-Length over the cap: too_large before the body is read",
    "length-bigger": "a Content-Length that is more than what comes: protocol",
    "length-smaller": "a Content-Length that is less than what comes: never partial data, nor the next answer's start",
    "length-negative": "a negative Content-Length: protocol",
    "length-twice": "two of them: protocol",
    "hostile-json": "JSON whose values take many times its bytes: memory within twice the cap, and shape",
    # Encodings
    "gzip-bomb": "a gzip bomb: protocol, and memory does not grow",
    "gzip-bomb-302": "the same in the body of a 302: redirect, and the body is not read",
    "encoding-chain": "several encodings: protocol",
    "bad-gzip": "what says gzip and is none: protocol",
    # Redirects
    "redirect": "301 to 308: redirect",
    "redirect-loop": "to itself: redirect, asked once",
    "redirect-elsewhere": "to another host: redirect; nobody connects there, and no credential leaves",
    "redirect-file": "to file:// : redirect",
    # HTTP
    "reset-mid-body": "a reset in the middle of the body: protocol, never partial data",
    "cut-chunk": "a connection that ends within a chunk: protocol, never partial data",
    "http-0.9": "a body without a header: protocol",
    "http-1.0": "HTTP/1.0 with whole JSON: accepted",
    "garbage": "what is no HTTP: protocol",
    "headers-101": "more than 100 headers: protocol",
    "environment": "netrc and proxies of the environment are not used",
    "cookies": "no cookie is sent back",
    # No JSON
    "empty-body": "not_json",
    "bom": "a byte order mark: not_json",
    "utf-16": "not_json",
    "html-200": "a page with status 200: not_json; status and content type are logged, never the body",
    "invalid-utf-8": "not_json",
    "deep-json": "100,000 levels: not_json or shape",
    "nan": "not_json",
    "infinity": "not_json",
    "float-overflow": "1e999: not_json",
    "huge-integer": "an integer of hundreds or thousands of digits: not_json or shape",
    "duplicate-keys": "not_json",
    # Shapes
    "bad-count": "a negative or fractional count, or none: shape",
    "online-over-total": "shape",
    "list-of-another-type": "text, a number or an object where a list is expected, in every field: shape",
    "list-missing": "no list at all: shape",
    "list-null": "null for a list: an empty list",
    "bad-element": "one bad element in a good list is dropped and counted; the rest lives",
    "duplicate-ids": "one series, and the others counted",
    "id-in-two-roles": "one series in each role",
    "key-echoed": "the API key in what would be a label, raw, escaped, or in base64: shape, and nothing of it is used",
    # Last seen: the node lives; the right value, or never seen
    "last-seen-empty": "never seen",
    "last-seen-integer": "and whatever else is no text: never seen",
    "last-seen-feb-30": "never seen",
    "last-seen-second-60": "never seen",
    "last-seen-year-10000": "never seen",
    "last-seen-naive": "no offset: never seen",
    "last-seen-lower-z": "its value",
    "last-seen-nine-digits": "its value",
    "last-seen-offset": "its value, whatever the sign",
    "last-seen-zero-time": "0001-01-01: never seen",
    "last-seen-year-9999": "more than a year ahead: never seen",
    # Texts: a valid page, at most 128 characters, still unique
    "text-quotes": "quotes, backslashes and what else the format gives a meaning",
    "text-newline": "line breaks",
    "text-nul": "a NUL",
    "text-surrogate": "a lone surrogate",
    "text-bidi": "characters that turn the direction of a line",
    "text-long": "10,000 characters",
    "text-empty": "no id is a bad element; no name leaves the host at the whole id",
    # Masses
    "nodes-100000": "100,000 nodes: bounded series and memory, nodes_hidden tells",
    "changing-ids": "ids that change at every poll: bounded series and memory, nodes_hidden tells",
    # Clocks
    "clock-jump": "the exporter's clock jumps an hour: ages, stale-after and rhythm stay right; the offset shows it",
    "date-missing": "the last offset goes on",
    "date-garbage": "the last offset goes on",
    "date-jump": "LocalAI's clock jumps: the offset shows it",
    # The machine
    "output-disk-full": "--output on a full disk: a clear error, and the old file stays whole",
    "output-read-only": "--output in a read-only folder: likewise",
    "no-descriptors": "no descriptor to be had: connect, and recovery",
    "no-threads": "no thread to be had: dns where a name must be looked up, and recovery",
    # Status
    "status-401": "in JSON, HTML and empty: auth, asked once",
    "status-403": "in JSON, HTML and empty: auth, asked once",
    "status-404": "in JSON, HTML and empty: /api/p2p is asked; of that one http_status, asked once",
    "status-429": "with Retry-After: http_status, asked once",
    "status-500": "http_status, asked once",
    "status-502": "http_status, asked once",
    "status-503": "http_status, asked once",
}
