"""Secrets that must not come to light, and whether they did, however a careless program would have written them."""

import base64
import urllib.parse

KEY = "sk-canary/of+the=key-7c1f"
TOKEN = base64.b64encode(b"otp: canary of the join token, and of nothing else").decode()
PASSWORD = "canary+of/the=web-password-3e0d"  # noqa: S105
NETRC = "canary-of-the-netrc-51aa"
PROXY = "canary-of-the-proxy-90bd"
URL = "canary-of-the-url-c4f2"
BODY = "canary/of+the=answer-5d8b"
"""Nobody's secret, but what an answer says and no error may quote."""

CANARIES = {"key": KEY, "token": TOKEN, "password": PASSWORD, "netrc": NETRC, "proxy": PROXY, "url": URL, "body": BODY}


def spellings(secret: str) -> set[str]:
    """Return what a careless program would make of a secret: raw, cut, in a URL, in a repr, in base64 at any place."""
    found = {secret, secret[:20], urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), repr(secret)}
    for before in ("", "Bearer ", "user:", "x", "xx"):
        # Where it begins within a group of three bytes decides how it reads; its ends depend on what stands around it.
        encoded = base64.b64encode(f"{before}{secret}".encode()).decode().rstrip("=")
        found.add(encoded[-(-len(before) * 4 // 3) + 1 : -2])
    return found


def hits(text: str) -> list[str]:
    """Return which secrets stand in a text, and how."""
    return [f"{name}: {found}" for name, secret in CANARIES.items() for found in spellings(secret) if found in text]
