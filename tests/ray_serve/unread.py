"""An application of Serve that does not read the body of a request until five seconds have passed."""

import asyncio
from typing import Any

from ray import serve
from starlette.responses import PlainTextResponse


class Unread:
    """One replica."""

    def __serve_build_asgi_app__(self) -> Any:
        return answer


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a POST after a while, and everything else at once."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["method"] == "POST":
        await asyncio.sleep(5)
    await PlainTextResponse("unread", headers={"attention-kernel": "none"})(scope, receive, send)


app = serve.deployment(serve.ingress()(Unread), name="unread", ray_actor_options={"num_cpus": 0}).bind()
