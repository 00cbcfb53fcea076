"""What the Redis server does for each verb of a record store, in its own language. Used by `redis` alone.

A record is a hash: `v` value, `n` version, `x` expiry; one with tags also `t` (the tags), `m` (its member in
the sets of its tags) and `z` (the names of these sets). A tag's set has the members of all its records at one
score, so that they are in order. `KEYS[2]` is the set of all records by expiry.

The first write of a script is the one that a full server refuses: nothing was changed then.
"""

from typing import Final

__all__ = ["DELETE", "DELETE_TAGGED", "FIND", "GET", "PUT", "SWAP", "SWEEP", "TAKE"]

_PARTS: Final = """
local function untag(z, m)
  if z and m then
    for _, set in ipairs(cmsgpack.unpack(z)) do redis.call('ZREM', set, m) end
  end
end
local function forget(record, expiries)
  local old = redis.call('HMGET', record, 'z', 'm')
  local gone = redis.call('DEL', record)
  untag(old[1], old[2])
  redis.call('ZREM', expiries, record)
  return gone
end
local function live(record, now)
  local fields = redis.call('HMGET', record, 'v', 'n', 'x', 't')
  if fields[3] and tonumber(fields[3]) > tonumber(now) then return fields end
  return false
end
local function keep(record, expiries, v, n, x, t, m, z)
  local old = redis.call('HMGET', record, 'z', 'm')
  if z == '' then
    redis.call('HSET', record, 'v', v, 'n', n, 'x', x)
    redis.call('HDEL', record, 't', 'm', 'z')
  else
    redis.call('HSET', record, 'v', v, 'n', n, 'x', x, 't', t, 'm', m, 'z', z)
  end
  untag(old[1], old[2])
  if z ~= '' then
    for _, set in ipairs(cmsgpack.unpack(z)) do redis.call('ZADD', set, 0, m) end
  end
  redis.call('ZADD', expiries, x, record)
  return 1
end
"""

#: record, expiries; v n x t m z
PUT: Final = _PARTS + "return keep(KEYS[1], KEYS[2], unpack(ARGV))"

#: record; now
GET: Final = _PARTS + "return live(KEYS[1], ARGV[1])"

#: record, expiries; now
TAKE: Final = (
    _PARTS
    + """
local fields = live(KEYS[1], ARGV[1])
if fields then forget(KEYS[1], KEYS[2]) end
return fields
"""
)

#: record, expiries; v n x t m z, now, the expected version or nothing
SWAP: Final = (
    _PARTS
    + """
local fields = live(KEYS[1], ARGV[7])
if (fields and fields[2] or '') ~= ARGV[8] then return 0 end
return keep(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
"""
)

#: record, expiries
DELETE: Final = _PARTS + "return forget(KEYS[1], KEYS[2])"

#: set of a tag, expiries; what names of records begin with
DELETE_TAGGED: Final = (
    _PARTS
    + """
local gone = 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  gone = gone + forget(ARGV[1] .. member:sub(-64), KEYS[2])
end
return gone
"""
)

#: set of a tag; what names of records begin with, where to begin, limit, now
FIND: Final = (
    _PARTS
    + """
local found, start, limit = {}, ARGV[2], tonumber(ARGV[3])
while true do
  local members = redis.call('ZRANGEBYLEX', KEYS[1], start, '+', 'LIMIT', 0, limit)
  for _, member in ipairs(members) do
    local fields = live(ARGV[1] .. member:sub(-64), ARGV[4])
    if fields then
      found[#found + 1] = {member, fields[1], fields[2], fields[3], fields[4]}
      if #found == limit then return found end
    end
  end
  if #members < limit then return found end
  start = '(' .. members[#members]
end
"""
)

#: expiries; now, limit
SWEEP: Final = (
    _PARTS
    + """
local records = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, tonumber(ARGV[2]))
for _, record in ipairs(records) do forget(record, KEYS[1]) end
return #records
"""
)
