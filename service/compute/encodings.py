"""Content encodings at both ends of the journey: undone before a request is read, done after its answer is written."""

from dataclasses import dataclass

from service.codecs import compression
from service.codecs.negotiate import AS_IT_IS, JSON, WantedEncoding
from service.compute.contract import Body, Prepare, Prepared, Reply, Run
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class PreparedEncoded:
    """A request whose answer is compressed where that pays."""

    prepared: Prepared
    wanted: WantedEncoding

    @property
    def operations(self) -> int:
        """Those of the request itself."""
        return self.prepared.operations

    @property
    def bytes(self) -> int:
        """Those of the request."""
        return self.prepared.bytes

    def complete(self, run: Run) -> Reply:
        """Compute, encode and compress."""
        return encoded(self.prepared.complete(run), self.wanted)


def prepare_encoded(prepare: Prepare, body: Body, settings: Settings) -> Prepared:
    """Read a request that may be compressed; raises what `prepare` raises, and MalformedBody or TooLarge."""
    if body.encoding is not None:
        body = body._replace(content=decoded(body, settings), encoding=None)
    prepared = prepare(body, settings)
    return prepared if body.wanted_encoding == AS_IT_IS else PreparedEncoded(prepared, body.wanted_encoding)


def decoded(body: Body, settings: Settings) -> bytes:
    """Return what the body holds, as much of it as its media type may have; raises MalformedBody or TooLarge."""
    if body.encoding is None:
        return body.content
    limit = settings.json_limit if body.media_type == JSON else settings.max_body_bytes
    return compression.decompress(body.content, body.encoding, limit, settings.max_decompression_ratio)


def encoded(reply: Reply, wanted: WantedEncoding) -> Reply:
    """Return the answer as its client wants it."""
    if wanted.name is None:
        return reply
    content = (compression.compress if wanted.insistent else compression.compress_if_worth_it)(
        reply.content, wanted.name
    )
    if content is None:
        return reply
    return reply._replace(content=content, headers={**reply.headers, "Content-Encoding": wanted.name})
