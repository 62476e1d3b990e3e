"""The header fields of pages and of the files that they are made of."""

from collections.abc import Mapping
from functools import lru_cache

NO_CACHE = "no-cache"

FOREVER = "public, max-age=31536000, immutable"
"""Cache-Control of a file whose address has the hash of its content: a browser never asks for it again."""


def content_security_policy(frame_ancestors: tuple[str, ...] = ()) -> str:
    """Return the policy: everything comes from this server, and no script stands in a page.

    :param frame_ancestors: sites whose pages may embed these, as the policy writes them; none by default.
    """
    embedding = " ".join(frame_ancestors) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {embedding}",
        )
    )


@lru_cache(maxsize=16)
def page_headers(frame_ancestors: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the header fields of a page that `frame_ancestors` may embed; see `content_security_policy`."""
    return {
        "Content-Security-Policy": content_security_policy(frame_ancestors),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cache-Control": NO_CACHE,
    }
