"""The Lua scripts that make each step of a job's life one atomic step on the server.

Written to the Redis 6.2 command set. Each starts by looking at the job's hash, so a worker that lost its lease (its
fence is no longer the current one) changes nothing, and a result is stored, acknowledged and announced in one step or
not at all: a server that is out of memory refuses the whole script.
"""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

SUBMIT = (
    _NOW
    + """
-- KEYS: stream, job hash...   ARGV: budget_ms, job_ttl_ms, job json...
-- A job that a gateway before queued and that is still open stays as it is. The fence never goes back.
local deadline = now + tonumber(ARGV[1])
for i = 2, #KEYS do
  local state = redis.call('HGET', KEYS[i], 'state')
  if not state or state == 'cancelled' then
    redis.call('HSET', KEYS[i], 'state', 'queued', 'deadline', deadline)
    redis.call('HSETNX', KEYS[i], 'fence', 0)
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    redis.call('XADD', KEYS[1], '*', 'job', ARGV[i + 1], 'deadline', deadline)
  end
end
return deadline
"""
)

LEASE = (
    _NOW
    + """
-- KEYS: job hash, samples hash, stream, answer hash   ARGV: worker, group, entry id, most deliveries
local job = redis.call('HMGET', KEYS[1], 'state', 'deadline')
local answer = redis.call('HGET', KEYS[4], 'status')
if job[1] and answer and answer ~= 'in_progress' then job[1] = 'cancelled' end
if not job[1] or job[1] == 'cancelled' then
  redis.call('XACK', KEYS[3], ARGV[2], ARGV[3])
  redis.call('XDEL', KEYS[3], ARGV[3])
  redis.call('DEL', KEYS[1])
  return {job[1] or 'gone', 0, 0}
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'state', 'leased', 'owner', ARGV[1])
local left = tonumber(job[2]) - now
local state = 'leased'
if left <= 0 then state = 'expired' elseif fence > tonumber(ARGV[4]) then state = 'poison' end
return {state, fence, left, unpack(redis.call('HKEYS', KEYS[2]))}
"""
)

RENEW = """
-- KEYS: job hash, stream, answer hash   ARGV: fence, worker, group, entry id
local job = redis.call('HMGET', KEYS[1], 'state', 'fence')
local answer = redis.call('HGET', KEYS[3], 'status')
if job[1] == 'cancelled' or (answer and answer ~= 'in_progress') then return 'cancelled' end
if job[2] ~= ARGV[1] then return 'lost' end
redis.call('XCLAIM', KEYS[2], ARGV[3], ARGV[2], 0, ARGV[4], 'JUSTID')
return 'held'
"""

STORE = """
-- KEYS: job hash, samples hash, stream, answer hash
-- ARGV: fence, entry id, group, done, samples_ttl_ms, inbox prefix, reply head, then field, sample json, ...
local job = redis.call('HMGET', KEYS[1], 'state', 'fence')
local answer = redis.call('HMGET', KEYS[4], 'status', 'gateway')
if job[2] ~= ARGV[1] then return {'fenced', 0} end
if job[1] == 'cancelled' or (answer[1] and answer[1] ~= 'in_progress') then
  redis.call('XACK', KEYS[3], ARGV[3], ARGV[2])
  redis.call('XDEL', KEYS[3], ARGV[2])
  redis.call('DEL', KEYS[1])
  return {'cancelled', 0}
end
local fresh = {}
for i = 8, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then fresh[#fresh + 1] = ARGV[i + 1] end
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local gateway = answer[2]
if gateway and #fresh > 0 then
  local inbox = ARGV[6] .. gateway
  redis.call('XADD', inbox, 'MAXLEN', '~', 20000, '*', 'reply', ARGV[7] .. table.concat(fresh, ',') .. ']}')
  redis.call('PEXPIRE', inbox, ARGV[5])
end
if ARGV[4] == '1' then
  redis.call('XACK', KEYS[3], ARGV[3], ARGV[2])
  redis.call('XDEL', KEYS[3], ARGV[2])
  redis.call('DEL', KEYS[1])
end
return {'stored', #fresh}
"""

CANCEL = """
-- KEYS: job hash...   ARGV: channel, job id...
local cut = 0
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('HSET', KEYS[i], 'state', 'cancelled')
    redis.call('PUBLISH', ARGV[1], ARGV[i + 1])
    cut = cut + 1
  end
end
return cut
"""
