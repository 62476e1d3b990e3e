"""Files of folders; /static: those that the pages are made of, also at addresses with the hash of their content."""

import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
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


class PageFolder(StaticFiles):
    """The files of a folder, with the headers of a page.

    :param folder: the folder, which need not exist yet.
    :param frame_ancestors: see `page_headers`.
    """

    path: str
    """The route of all files in logs and metrics."""

    media_types: Mapping[str, str] = MEDIA_TYPES
    """Media types by suffix; other files are not served."""

    def __init__(self, folder: Traversable, frame_ancestors: tuple[str, ...]) -> None:
        super().__init__(directory=str(folder), check_dir=False)
        self.headers = page_headers(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the path below the mount; it begins with the public prefix unless a proxy has removed that."""
        scope["route"] = self
        prefix, mount, path = scope["app_root_path"], scope["root_path"], scope["path"]
        mounted_at = mount if path.startswith(f"{mount}/") else mount.removeprefix(prefix)
        scope["root_path"] = prefix  # a problem document points to its page, which is not below the mount
        await super().__call__({**scope, "root_path": "", "path": path.removeprefix(mounted_at)}, receive, send)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Serve one file of a known kind, or the requested part of it.

        Raises MalformedBody for a Range that is malformed, RangeNotSatisfiable, and a 404 for another suffix.
        """
        media_type = self.media_types.get(Path(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self.headers)
        if "Content-Type" in response.headers:  # absent from 304
            response.headers["Content-Type"] = media_type
            validators = (response.headers["ETag"], response.headers["Last-Modified"])
            if not checked_range(header_fields(scope), stat_result.st_size, validators):
                # The response reads Range when it is called.
                scope["headers"] = [line for line in scope["headers"] if line[0] != b"range"]
        return response


class PageFiles(PageFolder):
    """The static files of the pages.

    :param frame_ancestors: see `page_headers`.
    """

    path = "/static/{path}"

    def __init__(self, frame_ancestors: tuple[str, ...]) -> None:
        super().__init__(PAGES, frame_ancestors)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a bundle or a file at its address with a hash, or a file as it lies."""
        found = find_hashed(path) if scope["method"] in ("GET", "HEAD") else None
        if found is None:
            return await super().get_response(path, scope)
        asset, is_current = found
        kept = {"Cache-Control": FOREVER} if is_current else {}
        return asset.respond(Request(scope), {**self.headers, **kept})
