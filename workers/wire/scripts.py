"""The Lua scripts that make each step of a job's life one atomic step on the server.

Written to the Redis 6.2 command set. Each starts by looking at the job's hash, so a worker that lost its lease (its
fence is no longer the current one) changes nothing, and a result is stored, acknowledged and announced in one step or
not at all: a server that is out of memory refuses the whole script.
"""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

_LAST = """
local function last(key, ms)
  if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end
"""

_END = """
local function forget(stream, group, entry, job)
  redis.call('XACK', stream, group, entry)
  redis.call('XDEL', stream, entry)
  redis.call('DEL', job)
end
"""

_COPY = """
local function is_copy(stream, entry, job)
  local own = redis.call('HGET', job, 'entry')
  return own and own ~= entry and #redis.call('XRANGE', stream, own, own) > 0
end
"""

_BACK = """
local function back(stream, group, entry, job)
  local found = redis.call('XRANGE', stream, entry, entry)
  local open = found[1] and redis.call('EXISTS', job) == 1 and not is_copy(stream, entry, job)
  if open then
    local again = redis.call('XADD', stream, '*', unpack(found[1][2]))
    redis.call('HINCRBY', job, 'fence', 1)
    redis.call('HSET', job, 'entry', again)
    if redis.call('HGET', job, 'state') == 'leased' then redis.call('HSET', job, 'state', 'queued') end
  end
  redis.call('XACK', stream, group, entry)
  redis.call('XDEL', stream, entry)
  return open
end
"""

SUBMIT = (
    _NOW
    + _LAST
    + """
-- KEYS: stream, interactive stream, job hash...   ARGV: budget_ms, job_ttl_ms, wire version, answer id, batch,
-- priority, then for each job its json, id, first, last. A job that a gateway before queued and that is still open
-- stays as it is. The fence never goes back. What an entry says of itself beside its json is there for workers that
-- cannot read that. Workers make the streams that they read: where none reads this one, the jobs are interactive.
local deadline = now + tonumber(ARGV[1])
local stream, priority = KEYS[1], ARGV[6]
if redis.call('EXISTS', stream) == 0 then stream, priority = KEYS[2], 'interactive' end
for i = 3, #KEYS do
  local at = 4 * i - 5
  local state = redis.call('HGET', KEYS[i], 'state')
  if not state or state == 'cancelled' or state == 'lost' then
    local entry = redis.call('XADD', stream, '*', 'job', ARGV[at], 'deadline', deadline, 'v', ARGV[3],
      'answer', ARGV[4], 'batch', ARGV[5], 'id', ARGV[at + 1], 'first', ARGV[at + 2], 'last', ARGV[at + 3])
    redis.call('HSET', KEYS[i], 'state', 'queued', 'deadline', deadline, 'entry', entry, 'batch', ARGV[5],
      'first', ARGV[at + 2], 'last', ARGV[at + 3], 'priority', priority)
    redis.call('HSETNX', KEYS[i], 'fence', 0)
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
last(stream, ARGV[2])
return deadline
"""
)

CHECK = """
-- KEYS: answer hash, then for each job its hash, the interactive stream and the background one
-- The jobs that no worker will ever bring any more: their hash is gone, or their entry; nil if the answer itself is.
-- A worker may still hold a job whose entry is gone: queued once more, its late result is one effect all the same.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local lost = {}
for i = 2, #KEYS, 3 do
  local job = redis.call('HMGET', KEYS[i], 'entry', 'priority')
  local entry, stream = job[1], KEYS[i + (job[2] == 'background' and 2 or 1)]
  if not entry then
    lost[#lost + 1] = (i - 2) / 3
  elseif #redis.call('XRANGE', stream, entry, entry) == 0 then
    redis.call('HSET', KEYS[i], 'state', 'lost')
    lost[#lost + 1] = (i - 2) / 3
  end
end
return lost
"""

LEASE = (
    _NOW
    + _END
    + _COPY
    + _BACK
    + """
-- KEYS: job hash, samples hash, stream, answer hash, what was refused of the worker
-- ARGV: worker, group, entry id, most deliveries, of a suspect, priority, most refused replies of a worker
-- A delivery counts here, but for a suspect's: that counts when it begins to run, alone (BEGIN). What is delivered to a
-- worker that is shut out goes back into the stream, for another. An entry is dropped where another is there that is
-- the job's own: whoever has that, or will have it, works on the job.
local job = redis.call('HMGET', KEYS[1], 'state', 'deadline', 'deliveries', 'owner')
local answer = redis.call('HGET', KEYS[4], 'status')
if job[1] and answer and answer ~= 'in_progress' then job[1] = 'cancelled' end
if not job[1] or job[1] == 'cancelled' then
  forget(KEYS[3], ARGV[2], ARGV[3], KEYS[1])
  return {job[1] or 'gone', 0, 0, 0, ''}
end
if #redis.call('XPENDING', KEYS[3], ARGV[2], ARGV[3], ARGV[3], 1, ARGV[1]) == 0 then return {'lost', 0, 0, 0, ''} end
if is_copy(KEYS[3], ARGV[3], KEYS[1]) then
  redis.call('XACK', KEYS[3], ARGV[2], ARGV[3])
  redis.call('XDEL', KEYS[3], ARGV[3])
  return {'copy', 0, 0, 0, ''}
end
if tonumber(redis.call('GET', KEYS[5]) or 0) >= tonumber(ARGV[7]) then
  back(KEYS[3], ARGV[2], ARGV[3], KEYS[1])
  return {'shut_out', 0, 0, 0, ''}
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'state', 'leased', 'owner', ARGV[1], 'entry', ARGV[3], 'priority', ARGV[6])
local left = tonumber(job[2]) - now
local deliveries = tonumber(job[3] or 0)
local state = 'leased'
if left <= 0 then
  state = 'expired'
elseif deliveries >= tonumber(ARGV[4]) then
  state = 'poison'
elseif deliveries < tonumber(ARGV[5]) then
  redis.call('HINCRBY', KEYS[1], 'deliveries', 1)
end
return {state, fence, left, deliveries, job[4] or '', unpack(redis.call('HKEYS', KEYS[2]))}
"""
)

BEGIN = """
-- KEYS: job hash   ARGV: fence
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'deliveries', 1)
return 1
"""

RELEASE = (
    _COPY
    + _BACK
    + """
-- KEYS: job hash, stream   ARGV: worker, group, entry id, how many deliveries to take back
-- Puts an entry of this worker back into the stream as a new one, which any worker may read at once.
if #redis.call('XPENDING', KEYS[2], ARGV[2], ARGV[3], ARGV[3], 1, ARGV[1]) == 0 then return 0 end
if back(KEYS[2], ARGV[2], ARGV[3], KEYS[1]) and ARGV[4] ~= '0' then
  redis.call('HINCRBY', KEYS[1], 'deliveries', '-' .. ARGV[4])
end
return 1
"""
)

QUARANTINE = """
-- KEYS: job hash, quarantine stream   ARGV: fence, ttl_ms, most entries, then field, value, ...
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
if redis.call('HSETNX', KEYS[1], 'quarantined', 1) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""

SWEEP = """
-- KEYS: stream   ARGV: group, consumer...
-- Deleting a consumer drops what is pending on it for ever: so only those go on which nothing is.
local gone = 0
for i = 2, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[i]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[i])
    gone = gone + 1
  end
end
return gone
"""

RENEW = """
-- KEYS: job hash, stream, answer hash   ARGV: fence, worker, group, entry id
local job = redis.call('HMGET', KEYS[1], 'state', 'fence')
local answer = redis.call('HGET', KEYS[3], 'status')
if job[1] == 'cancelled' or (answer and answer ~= 'in_progress') then return 'cancelled' end
if job[2] ~= ARGV[1] then return 'lost' end
redis.call('XCLAIM', KEYS[2], ARGV[3], ARGV[2], 0, ARGV[4], 'JUSTID')
return 'held'
"""

STORE = (
    _LAST
    + _END
    + """
-- KEYS: job hash, samples hash, stream, answer hash
-- ARGV: fence, entry id, group, done, samples_ttl_ms, inbox prefix, reply head, then index, sample json, ...
-- Only the job's own indices are stored. The samples last as long as the answer's record does. Who stored them is said
-- beside the reply, by the lease: what a worker says of itself could be anyone's name.
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'batch', 'first', 'last', 'owner')
local answer = redis.call('HMGET', KEYS[4], 'status', 'gateway')
if job[2] ~= ARGV[1] then return {'fenced', 0} end
if job[1] == 'cancelled' or (answer[1] and answer[1] ~= 'in_progress') then
  forget(KEYS[3], ARGV[3], ARGV[2], KEYS[1])
  return {'cancelled', 0}
end
local fresh = {}
for i = 8, #ARGV, 2 do
  local index = tonumber(ARGV[i])
  if index >= tonumber(job[4]) and index < tonumber(job[5]) then
    local field = job[3] .. ':' .. ARGV[i]
    if redis.call('HSETNX', KEYS[2], field, ARGV[i + 1]) == 1 then fresh[#fresh + 1] = ARGV[i + 1] end
  end
end
last(KEYS[2], ARGV[5])
last(KEYS[2], redis.call('PTTL', KEYS[4]))
local gateway = answer[2]
if gateway and #fresh > 0 then
  local inbox = ARGV[6] .. gateway
  redis.call('XADD', inbox, 'MAXLEN', '~', 20000, '*', 'by', job[6] or '',
    'reply', ARGV[7] .. table.concat(fresh, ',') .. ']}')
  last(inbox, ARGV[5])
end
if ARGV[4] == '1' then forget(KEYS[3], ARGV[3], ARGV[2], KEYS[1]) end
return {'stored', #fresh}
"""
)

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
