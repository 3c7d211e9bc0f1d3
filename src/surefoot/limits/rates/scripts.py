"""What Redis does for limits: Lua scripts, each of which is one step of the server, by the server's own clock.

Times are microseconds. The keys of `ADMIT` and `SETTLE` are what the endpoint has told, and for each limit its rates
and its places: a hash of times at which all that was taken has drained away (`r` requests, `t` tokens), and a sorted
set of places by the time at which they are free if nobody renews them.
"""

from __future__ import annotations

from surefoot.limits.redis import Script

_CLOCK = """
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function exact(number)
  return string.format('%.0f', number)
end
local function expire(key, drained, other)
  local last = math.max(drained, other, now)
  redis.call('PEXPIRE', key, math.ceil((last - now) / 1000) + 60000)
end
"""

ADMIT = Script(
    _CLOCK
    + """
-- Take all that is asked of all limits, or nothing.
-- ARGV: now or 0, the place's name, its lease, tokens, who claims (empty for one that does not wait); then for each
-- limit the interval and burst of requests, those of tokens, the places, what the process knows of both rates ahead of
-- now, and whether that holds whatever is kept here.
-- Returns: the limit that refuses (0 is what the endpoint has told) or -1, the setting (1 requests, 2 tokens, 3 places,
-- 4 held back), the wait, now, and the rates of all as they are then.
-- A demand that needs most of the burst would never find it whole among small ones of other processes: it claims the
-- limit, and until it is served, or asks no more, the others wait.
local place, lease, tokens, claimant = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local worst, where, setting = 0, -1, 0

local function weigh(index, kind, drained, interval, burst, units)
  local wait = drained - now - math.max(burst - units, 0) * interval
  if wait > worst then
    worst, where, setting = wait, index, kind
  end
end

local told = redis.call('HMGET', KEYS[1], 'hold', 'until', 'ri', 'rb', 'ti', 'tb', 'r', 't')
for i = 1, 8 do told[i] = tonumber(told[i] or 0) end
if told[1] > now then
  worst, where, setting = told[1] - now, 0, 4
end
if told[2] > now then
  if told[3] > 0 then weigh(0, 1, told[7], told[3], told[4], 1) end
  if told[5] > 0 then weigh(0, 2, told[8], told[5], told[6], tokens) end
end

local limits, full = {}, -1
for i = 1, (#KEYS - 1) / 2 do
  local a = 5 + (i - 1) * 8
  local kept = redis.call('HMGET', KEYS[2 * i], 'r', 't', 'claim', 'claimed')
  local one = {
    ri = tonumber(ARGV[a + 1]), rb = tonumber(ARGV[a + 2]),
    ti = tonumber(ARGV[a + 3]), tb = tonumber(ARGV[a + 4]), places = tonumber(ARGV[a + 5]),
    r = tonumber(kept[1] or 0), t = tonumber(kept[2] or 0),
  }
  if not kept[1] or ARGV[a + 8] == '1' then
    one.r = math.max(one.r, now + tonumber(ARGV[a + 6]))
    one.t = math.max(one.t, now + tonumber(ARGV[a + 7]))
    if ARGV[a + 8] == '1' and (one.ri > 0 or one.ti > 0) then
      -- Kept even if nothing is taken now, as it is said once.
      redis.call('HSET', KEYS[2 * i], 'r', exact(one.r), 't', exact(one.t))
      expire(KEYS[2 * i], one.r, one.t)
    end
  end
  if one.ri > 0 then weigh(i, 1, one.r, one.ri, one.rb, 1) end
  if one.ti > 0 and tokens > 0 then
    weigh(i, 2, one.t, one.ti, one.tb, tokens)
    one.claim = kept[3] and tonumber(kept[4]) > now and kept[3]
    if one.claim and one.claim ~= claimant then
      -- A second for it to be there is in the claim.
      weigh(i, 2, math.max(tonumber(kept[4]) - 1000000, now + 10000), 0, 0, 0)
    end
  end
  if one.places > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2 * i + 1], '-inf', exact(now))
    if full < 0 and redis.call('ZCARD', KEYS[2 * i + 1]) >= one.places then full = i end
  end
  limits[i] = one
end
if where < 0 and full > 0 then
  where, setting = full, 3
end
if setting == 2 and where > 0 and claimant ~= '' then
  local one = limits[where]
  if tokens > one.tb / 2 and (not one.claim or one.claim == claimant) then
    redis.call('HSET', KEYS[2 * where], 'claim', claimant, 'claimed', exact(now + worst + 1000000))
    expire(KEYS[2 * where], one.r, now + worst)
  end
end

if where < 0 then
  if told[2] > now then
    if told[3] > 0 then told[7] = math.max(told[7], now) + told[3] end
    if told[5] > 0 then told[8] = math.max(told[8], now) + told[5] * tokens end
    redis.call('HSET', KEYS[1], 'r', exact(told[7]), 't', exact(told[8]))
  end
  for i, one in ipairs(limits) do
    one.r = math.max(one.r, now) + one.ri
    one.t = math.max(one.t, now) + one.ti * tokens
    if one.ri > 0 or one.ti > 0 then
      redis.call('HSET', KEYS[2 * i], 'r', exact(one.r), 't', exact(one.t))
      if one.claim then redis.call('HDEL', KEYS[2 * i], 'claim', 'claimed') end
      expire(KEYS[2 * i], one.r, one.t)
    end
    if one.places > 0 then
      redis.call('ZADD', KEYS[2 * i + 1], exact(now + lease), place)
      redis.call('PEXPIRE', KEYS[2 * i + 1], math.ceil(lease / 1000) + 60000)
    end
  end
end

local answer = {where, setting, math.ceil(worst), now, told[7], told[8]}
for _, one in ipairs(limits) do
  answer[#answer + 1] = one.r
  answer[#answer + 1] = one.t
end
return answer
"""
)

SETTLE = Script(
    _CLOCK
    + """
-- Free a place, and give back what was not needed as far as it has not drained away, or take what was needed more.
-- ARGV: now or 0, the place's name, tokens and requests to give back; then, first for what the endpoint has told (whose
-- intervals are kept here) and then for each limit, the interval of requests and until when they drain, and the same of
-- tokens.
local place, tokens, requests = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function corrected(drained, units, interval, drains_at)
  local less = units * interval
  if less < 0 then return math.max(drained, now) - less end
  return drained - math.max(0, math.min(less, drains_at - now))
end

for i = 0, (#KEYS - 1) / 2 do
  local key = i == 0 and KEYS[1] or KEYS[2 * i]
  local a = 4 + i * 4
  local kept = redis.call('HMGET', key, 'r', 't', 'ri', 'ti')
  if kept[1] then
    local ri, ti = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 3])
    if i == 0 then ri, ti = tonumber(kept[3] or 0), tonumber(kept[4] or 0) end
    local r = corrected(tonumber(kept[1]), requests, ri, tonumber(ARGV[a + 2]))
    local t = corrected(tonumber(kept[2] or 0), tokens, ti, tonumber(ARGV[a + 4]))
    redis.call('HSET', key, 'r', exact(r), 't', exact(t))
    if i > 0 then expire(key, r, t) end
  end
  if i > 0 then redis.call('ZREM', KEYS[2 * i + 1], place) end
end
return 0
"""
)

RENEW = Script(
    _CLOCK
    + """
-- Keep places for another lease, also where the server has forgotten them. ARGV: now or 0, the lease; then for each key
-- the name of the place.
local lease = tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, exact(now + lease), ARGV[2 + i])
  redis.call('PEXPIRE', key, math.ceil(lease / 1000) + 60000)
end
return 0
"""
)

TELL = Script(
    _CLOCK
    + """
-- Remember what an endpoint has told. ARGV: now or 0, for how long it is to be left alone, for how long its rates are
-- kept to (0 if it told none), the interval and burst of requests, and those of tokens.
local hold = now + tonumber(ARGV[2])
local last = tonumber(redis.call('HGET', KEYS[1], 'hold') or 0)
if hold > last then redis.call('HSET', KEYS[1], 'hold', exact(hold)) else hold = last end
local lasts = tonumber(ARGV[3])
if lasts > 0 then
  redis.call(
    'HSET', KEYS[1], 'until', exact(now + lasts), 'ri', ARGV[4], 'rb', ARGV[5], 'ti', ARGV[6], 'tb', ARGV[7]
  )
end
expire(KEYS[1], hold, tonumber(redis.call('HGET', KEYS[1], 'until') or 0))
return 0
"""
)
