"""Memories in Redis or Valkey, for replicas; `docs/adr/0003-memories-in-redis.md` says how.

Needs the extra `redis`, and is imported where a URL asks for it.
"""

from service.memories.redis.store import RedisStore

__all__ = ["RedisStore"]
