"""The Lua scripts that make each step of an answer's life one atomic step on the server, for the ledger.

An answer is worked on by one gateway, its owner, which is named in its record; each change asks for the owner first, so
that a gateway that was thought dead and comes back changes nothing.
"""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

ACCEPT = (
    _NOW
    + """
-- KEYS: answer hash, the owner's open answers
-- ARGV: owner, answer id, ttl_ms, budget_ms, then field, value, ...
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local deadline = now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'status', 'in_progress', 'gateway', ARGV[1], 'deadline', deadline, unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return deadline
"""
)

FINISH = """
-- KEYS: answer hash, the owner's open answers, samples hash   ARGV: owner, answer id, ttl_ms, status, reply
redis.call('SREM', KEYS[2], ARGV[2])
local answer = redis.call('HMGET', KEYS[1], 'gateway', 'status')
if answer[1] ~= ARGV[1] or answer[2] ~= 'in_progress' then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[4], 'reply', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
"""

TAKE = """
-- KEYS: answer hash, open answers of the lost owner, those of the new one
-- ARGV: lost owner, new owner, answer id, ttl_ms
redis.call('SREM', KEYS[2], ARGV[3])
local answer = redis.call('HMGET', KEYS[1], 'gateway', 'status')
if answer[1] ~= ARGV[1] or answer[2] ~= 'in_progress' then return 0 end
redis.call('HSET', KEYS[1], 'gateway', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
"""
