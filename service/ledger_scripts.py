"""The Lua scripts that make each step of an answer's life one atomic step on the server, for the ledger.

An answer is worked on by one gateway, its owner, which is named in its record; each change asks for the owner first, so
that a gateway that was thought dead and comes back changes nothing. A step whose reply was lost may be sent again: it
says the same the second time.
"""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

_LAST = """
local function last(key, ms)
  if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end
"""

ACCEPT = (
    _NOW
    + _LAST
    + """
-- KEYS: answer hash, the owner's open answers
-- ARGV: owner, answer id, ttl_ms, budget_ms, nonce of this attempt, then field, value, ...
local there = redis.call('HMGET', KEYS[1], 'nonce', 'deadline')
if there[1] == ARGV[5] then return tonumber(there[2]) end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local deadline = now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'status', 'in_progress', 'gateway', ARGV[1], 'deadline', deadline, 'nonce', ARGV[5],
  unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[2])
last(KEYS[2], ARGV[3])
return deadline
"""
)

FINISH = """
-- KEYS: answer hash, the owner's open answers, samples hash   ARGV: owner, answer id, ttl_ms, status, reply
redis.call('SREM', KEYS[2], ARGV[2])
local answer = redis.call('HMGET', KEYS[1], 'gateway', 'status', 'keep')
if answer[1] ~= ARGV[1] or answer[2] ~= 'in_progress' then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[4], 'reply', ARGV[5])
local keep = math.max(tonumber(ARGV[3]), tonumber(answer[3] or 0))
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('PEXPIRE', KEYS[3], keep)
return 1
"""

TAKE = (
    _LAST
    + """
-- KEYS: answer hash, open answers of the lost owner, those of the new one
-- ARGV: lost owner, new owner, answer id, ttl_ms
redis.call('SREM', KEYS[2], ARGV[3])
local answer = redis.call('HMGET', KEYS[1], 'gateway', 'status')
if answer[2] ~= 'in_progress' or (answer[1] ~= ARGV[1] and answer[1] ~= ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'gateway', ARGV[2])
last(KEYS[1], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[3])
last(KEYS[3], ARGV[4])
return 1
"""
)

MARK = """
-- KEYS: answer hash   ARGV: field
-- A record that is gone stays gone: a field alone would be a key without a time to live.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], 1)
return 1
"""
