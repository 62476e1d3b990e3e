"""Scripts that Redis runs as one step each, in Lua (https://redis.io/docs/latest/develop/programmability/eval-intro/).

Every script gets the prefix of all keys, the place of a memory ("owner:name") and the time, then its own arguments, and
returns a list that begins with a status.  The keys of a memory, all of which begin with the prefix:

- `memory:PLACE`, a hash with the fields in `FIELDS`,
- `records:PLACE`, the list of its appends that no segment holds yet, from the one with the number `first` on,
- `chunks:PLACE`, the set of the keys of the chunks that its segments consist of.

Beside them stand `names:OWNER` (sorted names), `total` (bytes and number of memories), `expiring` (places by the
earliest time at which they may expire) and `fragmented` (places of memories that are to be merged).
"""

FIELDS = (
    "generation",
    "version",
    "keys",
    "bytes",
    "modified",
    "created",
    "used",
    "ttl",
    "described",
    "segments",
    "first",
    "records",
    "first_version",
    "record_bytes",
    "stored",
)
"""Fields of a memory:

generation (the put that it comes from, by a random name), version, keys, bytes (of tensors and labels), modified,
created, used (the last read or write), ttl (seconds; empty for none), described (form and options as JSON), segments
(JSON), first (number of the first append that no segment holds), records (number of appends since the put),
first_version (the version before append `first`), record_bytes (of the list) and stored (bytes of segments and list).
"""

VERSION_CHARACTERS = 16
"""Each record begins with the version that it made."""

SEGMENT_FLAG = VERSION_CHARACTERS + 5
"""Byte of a record, counted from 1 and behind the version and a checksum, that is 1 if a segment holds its keys."""

_PRELUDE = f"""
local prefix, place, now = ARGV[1], ARGV[2], ARGV[3]
local FIELDS = {{{", ".join(f"'{field}'" for field in FIELDS)}}}

local function key_of(kind, place) return prefix .. kind .. ':' .. place end
local function whole(number) return string.format('%.0f', number) end

local function find(place)
  local values = redis.call('HMGET', key_of('memory', place), unpack(FIELDS))
  if not values[1] then return nil end
  local row = {{}}
  for index, field in ipairs(FIELDS) do row[field] = values[index] or '' end
  row.expired = row.ttl ~= '' and tonumber(row.used) + tonumber(row.ttl) <= tonumber(now)
  return row
end

-- The fields as lines, which a client reads faster than values.
local function lines_of(row)
  local lines = {{}}
  for index, field in ipairs(FIELDS) do lines[index] = row[field] end
  return table.concat(lines, '\\n')
end

local function find_current(place)
  local row = find(place)
  if row and not row.expired then return row end
  return nil
end

local function contains(versions, version)
  for _, one in ipairs(versions) do
    if one == version then return true end
  end
  return false
end

-- Whether a precondition holds: empty for none, else JSON with the members of `Precondition`.
local function allows(condition, row)
  if condition == '' then return true end
  local asked, current = cjson.decode(condition), row and row.version
  if asked.present and not current then return false end
  if asked.versions ~= cjson.null and not contains(asked.versions, current) then return false end
  return not (current and (asked.absent or contains(asked.excluded, current)))
end

-- Whether a reader that has seen `sequence` appends, the last of which made `version`, has seen those of this memory:
-- a server that lost its last writes has others in their place.
local function knows(row, generation, sequence, version)
  if row.generation ~= generation then return false end
  local number, first, records = tonumber(sequence), tonumber(row.first), tonumber(row.records)
  if number == records then return row.version == version end
  if number < first or number > records then return false end
  if number == first then return row.first_version == version end
  local record = redis.call('LINDEX', key_of('records', place), number - first - 1)
  return record ~= false and string.sub(record, 1, {VERSION_CHARACTERS}) == version
end

-- Appends from a number on, about as many as fit into a number of bytes.
local function page(row, number, page_bytes)
  local first, records = tonumber(row.first), tonumber(row.records)
  if number >= records then return {{}} end
  local each = math.max(1, tonumber(row.record_bytes) / (records - first))
  local count = math.max(1, math.floor(tonumber(page_bytes) / each))
  return redis.call('LRANGE', key_of('records', place), number - first, number - first + count - 1)
end

-- Counts a change of the bytes and the number of all memories.
local function count(bytes, memories)
  redis.call('HINCRBY', prefix .. 'total', 'bytes', whole(bytes))
  if memories ~= 0 then redis.call('HINCRBY', prefix .. 'total', 'memories', memories) end
end

local function total_bytes() return tonumber(redis.call('HGET', prefix .. 'total', 'bytes') or '0') end

-- Whether chunks that were written under a time limit are all still there.
local function all_exist(chunks)
  for _, key in ipairs(chunks) do
    if redis.call('EXISTS', key) == 0 then return false end
  end
  return true
end

local function keep(chunks, place)
  for _, key in ipairs(chunks) do
    redis.call('PERSIST', key)
    redis.call('SADD', key_of('chunks', place), key)
  end
end

local function rest_of_arguments(first)
  local rest = {{}}
  for index = first, #ARGV do rest[#rest + 1] = ARGV[index] end
  return rest
end

local function remove(place, row)
  for _, key in ipairs(redis.call('SMEMBERS', key_of('chunks', place))) do redis.call('UNLINK', key) end
  redis.call('UNLINK', key_of('memory', place), key_of('records', place), key_of('chunks', place))
  local colon = string.find(place, ':', 1, true)
  redis.call('ZREM', key_of('names', string.sub(place, 1, colon - 1)), string.sub(place, colon + 1))
  redis.call('ZREM', prefix .. 'expiring', place)
  redis.call('ZREM', prefix .. 'fragmented', place)
  count(-tonumber(row.stored), -1)
end
"""

_EVEN_WHEN_FULL = "#!lua flags=allow-oom\n"
"""First line of a script that frees memory, or needs none: a server that is at its limit runs it too."""

READ = (
    _PRELUDE
    + """
-- The fields of a memory, and its appends behind those that the reader has.
local generation, sequence, version, page_bytes, use, wanted = unpack(ARGV, 4)
local row = find_current(place)
if not row then return {'missing'} end
local is_known = knows(row, generation, sequence, version)
local first = is_known and tonumber(sequence) or tonumber(row.first)
local records = {}
if page_bytes ~= '0' then records = page(row, first, page_bytes) end
local is_noted = 1
if use == '1' and row.ttl ~= '' and (wanted == '' or wanted == row.version) then
  local noted = redis.pcall('HSET', key_of('memory', place), 'used', now)
  if type(noted) == 'table' and noted.err then is_noted = 0 end
end
return {'ok', lines_of(row), is_known and 1 or 0, first, records, is_noted}
"""
)

NOTE_USE = (
    _EVEN_WHEN_FULL
    + _PRELUDE
    + """
local row = find_current(place)
if row and row.generation == ARGV[4] then redis.call('HSET', key_of('memory', place), 'used', now) end
return {'ok'}
"""
)

PUT = (
    _PRELUDE
    + """
-- Creates or replaces a memory whose chunks are written; with `dry` says whether that would be possible.
local dry, condition, total_limit, stored = unpack(ARGV, 4, 7)
local generation, version, keys, bytes, ttl, described, segments = unpack(ARGV, 8, 14)
local chunks = rest_of_arguments(15)
local old = find(place)
local current = nil
if old and not old.expired then current = old end
if not allows(condition, current) then return {'mismatch', current and current.version or ''} end
local before = old and tonumber(old.stored) or 0
local required = total_bytes() - before + tonumber(stored)
if required > tonumber(total_limit) and tonumber(stored) > before then return {'total_quota', whole(required)} end
if dry == '1' then return {'ok'} end
if not all_exist(chunks) then return {'lost'} end
if old then remove(place, old) end
keep(chunks, place)
redis.call('HSET', key_of('memory', place), 'generation', generation, 'version', version, 'keys', keys, 'bytes', bytes,
  'modified', now, 'created', now, 'used', now, 'ttl', ttl, 'described', described, 'segments', segments, 'first', '0',
  'records', '0', 'first_version', version, 'record_bytes', '0', 'stored', stored)
local colon = string.find(place, ':', 1, true)
redis.call('ZADD', key_of('names', string.sub(place, 1, colon - 1)), 0, string.sub(place, colon + 1))
if ttl ~= '' then redis.call('ZADD', prefix .. 'expiring', tonumber(now) + tonumber(ttl), place) end
count(tonumber(stored), 1)
return {'ok', lines_of(find(place)), current and 0 or 1}
"""
)

APPEND = (
    _PRELUDE
    + """
-- Adds a record behind those of a memory, if the reader that asks can be told of all appends before it.
local condition, memory_limit, total_limit = unpack(ARGV, 4, 6)
local expected, version, keys, bytes, record, segment_bytes = unpack(ARGV, 7, 12)
local reads, sequence, known_version, page_bytes = unpack(ARGV, 13, 16)
local chunks = rest_of_arguments(17)
local row = find_current(place)
if not row then return {'missing'} end
if not allows(condition, row) then return {'mismatch', row.version} end
if row.generation ~= expected then return {'replaced'} end
local memory_bytes = tonumber(row.bytes) + tonumber(bytes)
if memory_bytes > tonumber(memory_limit) then return {'memory_quota', whole(memory_bytes)} end
local stored = #record + tonumber(segment_bytes)
local required = total_bytes() + stored
if required > tonumber(total_limit) then return {'total_quota', whole(required)} end
local before = {}
if reads == '1' then
  if not knows(row, expected, sequence, known_version) then return {'behind'} end
  before = page(row, tonumber(sequence), page_bytes)
  if tonumber(sequence) + #before < tonumber(row.records) then return {'behind'} end
  -- A segment may be merged away before the reader has read it: it reads first, and appends again.
  for _, one in ipairs(before) do
    if string.byte(one, """
    + str(SEGMENT_FLAG)
    + """) == 1 then return {'behind'} end
  end
end
if not all_exist(chunks) then return {'lost'} end
-- The first command that needs memory: without memory the script ends here, and nothing is changed.
redis.call('RPUSH', key_of('records', place), record)
keep(chunks, place)
redis.call('HSET', key_of('memory', place), 'version', version, 'keys', whole(tonumber(row.keys) + tonumber(keys)),
  'bytes', whole(memory_bytes), 'modified', now, 'used', now, 'records', whole(tonumber(row.records) + 1),
  'record_bytes', whole(tonumber(row.record_bytes) + #record), 'stored', whole(tonumber(row.stored) + stored))
redis.call('ZADD', prefix .. 'fragmented', now, place)
count(stored, 0)
return {'ok', lines_of(find(place)), before}
"""
)

DELETE = (
    _EVEN_WHEN_FULL
    + _PRELUDE
    + """
local condition = ARGV[4]
local old = find(place)
local current = nil
if old and not old.expired then current = old end
if not allows(condition, current) then return {'mismatch', current and current.version or ''} end
if not current then return {'missing'} end
remove(place, old)
return {'ok'}
"""
)

SWEEP = (
    _EVEN_WHEN_FULL
    + _PRELUDE
    + """
-- Removes memories that have expired; one that was used since it was last looked at gets its new time.
local due = redis.call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now, 'LIMIT', 0, ARGV[4])
local removed = 0
for _, place in ipairs(due) do
  local row = find(place)
  if not row or row.ttl == '' then
    redis.call('ZREM', prefix .. 'expiring', place)
  elseif row.expired then
    remove(place, row)
    removed = removed + 1
  else
    redis.call('ZADD', prefix .. 'expiring', tonumber(row.used) + tonumber(row.ttl), place)
  end
end
return {'ok', removed, #due}
"""
)

MERGE = (
    _EVEN_WHEN_FULL
    + _PRELUDE
    + """
-- Puts a merged segment in the place of segments and of the first records; version and keys stay.
local generation, segments, first, merged, merged_segments, merged_version = unpack(ARGV, 4, 9)
local record_bytes, stored, removed_chunks, is_whole = unpack(ARGV, 10, 13)
local chunks = rest_of_arguments(14)
local row = find(place)
if not row or row.generation ~= generation or row.segments ~= segments or row.first ~= first then
  return {'replaced'}
end
if not all_exist(chunks) then return {'lost'} end
for _, key in ipairs(cjson.decode(removed_chunks)) do
  redis.call('UNLINK', key)
  redis.call('SREM', key_of('chunks', place), key)
end
keep(chunks, place)
redis.call('LTRIM', key_of('records', place), tonumber(merged), -1)
redis.call('HSET', key_of('memory', place), 'segments', merged_segments, 'first',
  whole(tonumber(first) + tonumber(merged)), 'first_version', merged_version,
  'record_bytes', whole(tonumber(row.record_bytes) - tonumber(record_bytes)),
  'stored', whole(tonumber(row.stored) + tonumber(stored)))
if is_whole == '1' and redis.call('EXISTS', key_of('records', place)) == 0 then
  redis.call('ZREM', prefix .. 'fragmented', place)
end
count(tonumber(stored), 0)
return {'ok'}
"""
)

LIST = (
    _PRELUDE
    + """
-- The fields of the first memories of an owner, in the place of `place`, behind a name; expired ones without.
local after, limit = ARGV[4], ARGV[5]
local low = '-'
if after ~= '' then low = '(' .. after end
local listed = {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', key_of('names', place), low, '+', 'LIMIT', 0, limit)) do
  local row = find_current(place .. ':' .. name)
  listed[#listed + 1] = {name, row and lines_of(row) or ''}
end
return {'ok', listed}
"""
)

FRAGMENTED = (
    _PRELUDE
    + """
-- The fields of the memories that are to be merged, those first whose last append is the longest ago.
local listed = {}
for _, place in ipairs(redis.call('ZRANGE', prefix .. 'fragmented', 0, tonumber(ARGV[4]) - 1)) do
  local row = find_current(place)
  if row then listed[#listed + 1] = {place, lines_of(row)} end
end
return {'ok', listed}
"""
)
