"""Content codings: bodies are decompressed before they are read, answers compressed after they are written."""

from service.codecs import compression
from service.codecs.negotiate import AS_IT_IS, WantedEncoding
from service.compute.contract import Body, Prepare, Prepared, Reply
from service.compute.documents import max_body_bytes
from service.settings import Settings


def prepare_encoded(prepare: Prepare, body: Body, settings: Settings) -> Prepared:
    """Read a request that may be compressed; raises what `prepare` raises, and MalformedBody or TooLarge."""
    if body.encoding is not None:
        body = body._replace(content=decoded(body, settings), encoding=None)
    prepared = prepare(body, settings)
    if body.wanted_encoding == AS_IT_IS:
        return prepared
    # Compress the answer if that makes it smaller.
    return prepared._replace(complete=lambda run: encoded(prepared.complete(run), body.wanted_encoding))


def decoded(body: Body, settings: Settings) -> bytes:
    """Return the decompressed body, at most as large as its media type may be; raises MalformedBody or TooLarge."""
    if body.encoding is None:
        return body.content
    limit = max_body_bytes(body.media_type, settings)
    return compression.decompress(body.content, body.encoding, limit, settings.max_decompression_ratio)


def encoded(reply: Reply, wanted: WantedEncoding) -> Reply:
    """Return the answer in the negotiated content coding."""
    if wanted.name is None:
        return reply
    content = (compression.compress if wanted.insistent else compression.compress_if_shorter)(
        reply.content, wanted.name
    )
    if content is None:
        return reply
    return reply._replace(content=content, headers={**reply.headers, "Content-Encoding": wanted.name})
