"""/static: the files that the pages are made of, and the same at addresses with the hash of their content."""

import os
from os import PathLike
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.middleware.header_fields import header_fields
from service.routes.assets import MEDIA_TYPES, PAGES, find_hashed
from service.routes.page_headers import FOREVER, page_headers
from service.routes.ranges import checked_range


class PageFiles(StaticFiles):
    """The static files of the pages, with the headers of a page.

    :param frame_ancestors: see `page_headers`.
    """

    path = "/static/{path}"
    """The route of all static files in logs and metrics."""

    def __init__(self, frame_ancestors: tuple[str, ...]) -> None:
        super().__init__(directory=str(PAGES))
        self._headers = page_headers(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the path below the mount; it begins with the public prefix unless a proxy has removed that."""
        scope["route"] = self
        prefix, mount, path = scope["app_root_path"], scope["root_path"], scope["path"]
        mounted_at = mount if path.startswith(f"{mount}/") else mount.removeprefix(prefix)
        scope["root_path"] = prefix  # a problem document points to its page, which is not below the mount
        await super().__call__({**scope, "root_path": "", "path": path.removeprefix(mounted_at)}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a bundle or a file at its address with a hash, or a file as it lies."""
        found = find_hashed(path) if scope["method"] in ("GET", "HEAD") else None
        if found is None:
            return await super().get_response(path, scope)
        asset, is_current = found
        kept = {"Cache-Control": FOREVER} if is_current else {}
        return asset.respond(Request(scope), {**self._headers, **kept})

    def file_response(
        self, full_path: str | PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Serve one file of a known kind, or the requested part of it.

        Raises MalformedBody for a Range that is malformed, RangeNotSatisfiable, and a 404 for another suffix.
        """
        media_type = MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self._headers)
        if "Content-Type" in response.headers:  # absent from 304
            response.headers["Content-Type"] = media_type
            validators = (response.headers["ETag"], response.headers["Last-Modified"])
            if not checked_range(header_fields(scope), stat_result.st_size, validators):
                # The response reads Range when it is called.
                scope["headers"] = [line for line in scope["headers"] if line[0] != b"range"]
        return response
