"""One exchange with Redis about one breaker: what this process has seen against what all have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from surefoot.limits.breakers.circuit import Request, Shared
from surefoot.limits.breakers.phases import Opening, State
from surefoot.limits.breakers.rules import Rules
from surefoot.limits.breakers.window import BUCKETS
from surefoot.limits.redis import Part, Script

PARTS = ("state", "leases", "window", "members", "openers")
"""The keys of a breaker. `state` is a hash; `leases` are permits in use, by token, with when each ends; `window` counts
calls by a tenth of the window; `members` are processes that made calls in it, `openers` those that opened by
themselves, both with when that is forgotten. All times are milliseconds of the server's clock."""

_FIXED = 23

SCRIPT = Script(f"""
local state, leases, window, members, openers = unpack(KEYS)
local epoch_if_none, known, member = ARGV[1], ARGV[2], ARGV[3]
local span, minimum, error_rate, slow_rate = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local cooldown, cap, probes, lease = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local chance, failed_text, slow_text = tonumber(ARGV[12]), ARGV[13], ARGV[14]
local calls, failed, slow = tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local mode, their_rest, their_failures = ARGV[18], tonumber(ARGV[19]), tonumber(ARGV[20])
local their_why, their_since = ARGV[21], tonumber(ARGV[22])
local reports = tonumber(ARGV[{_FIXED}])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(value) return string.format('%.0f', value) end

local got = redis.call('HMGET', state,
  'epoch', 'turn', 'phase', 'until', 'failures', 'why', 'since', 'succeeded', 'slow')
local epoch, turn, phase = got[1] or epoch_if_none, tonumber(got[2] or 0), got[3] or 'closed'
local till, failures, why, since = tonumber(got[4] or 0), tonumber(got[5] or 0), got[6] or '', tonumber(got[7] or 0)
local succeeded, slow_ones = tonumber(got[8] or 0), tonumber(got[9] or 0)
local is_changed = not got[1]

local function become(another)
  phase, turn, succeeded, slow_ones, is_changed = another, turn + 1, 0, 0, true
  redis.call('DEL', leases)
end
local function open(rest)
  become('open')
  till = now + (rest or math.min(cap, cooldown * 2 ^ math.min(failures, 64)) * (0.8 + 0.2 * chance))
  redis.call('DEL', openers)
end
local function close()
  become('closed')
  failures = 0
  redis.call('DEL', window, openers)
end

-- What became of permits. The word on one that is not known any more comes late, or twice.
for at = {_FIXED} + 1, {_FIXED} + 4 * reports, 4 do
  if phase == 'half-open' and ARGV[at] == epoch .. ':' .. turn and redis.call('ZREM', leases, ARGV[at + 1]) == 1 then
    local verdict = ARGV[at + 2]
    if verdict == 'failed' then
      failures = failures + 1
      open()
    elseif verdict == 'succeeded' then
      succeeded, slow_ones, is_changed = succeeded + 1, slow_ones + tonumber(ARGV[at + 3]), true
      if succeeded >= probes then
        if slow_rate and slow_ones >= slow_rate * succeeded then
          failures = failures + 1
          open()
        else
          close()
        end
      end
    end
  end
end

if phase == 'closed' and mode == 'kept' and string.match(known, '^(.*):') ~= epoch then
  -- This server has lost what it knew, and the process has not.
  failures, why, since = their_failures, their_why, their_since
  open(their_rest)
end

if calls > 0 or mode == 'own' then
  redis.call('ZADD', members, number(now + span), member)
  redis.call('PEXPIRE', members, number(span))
end
if phase == 'closed' and mode == 'own' then
  redis.call('ZADD', openers, number(now + span), member)
  redis.call('PEXPIRE', openers, number(span))
  local after = '(' .. number(now)
  redis.call('ZREMRANGEBYSCORE', members, '-inf', number(now))
  redis.call('ZREMRANGEBYSCORE', openers, '-inf', number(now))
  -- One machine that reaches nothing does not open it for all the others; half of them do.
  if 2 * redis.call('ZCOUNT', openers, after, '+inf') >= redis.call('ZCOUNT', members, after, '+inf') then
    failures, why, since = 0, their_why, now
    open()
  end
elseif mode ~= 'own' then
  redis.call('ZREM', openers, member)
end

if phase == 'closed' and calls > 0 then
  local slot = math.floor(now / (span / {BUCKETS}))
  redis.call('HINCRBY', window, number(slot) .. ':calls', calls)
  if failed > 0 then redis.call('HINCRBY', window, number(slot) .. ':failed', failed) end
  if slow > 0 then redis.call('HINCRBY', window, number(slot) .. ':slow', slow) end
  redis.call('PEXPIRE', window, number(span))
  local sums, kept = {{calls = 0, failed = 0, slow = 0}}, redis.call('HGETALL', window)
  for at = 1, #kept, 2 do
    local old, what = string.match(kept[at], '^(%d+):(%a+)$')
    if tonumber(old) > slot - {BUCKETS} then
      sums[what] = sums[what] + tonumber(kept[at + 1])
    else
      redis.call('HDEL', window, kept[at])
    end
  end
  local reason = nil
  if sums.calls >= minimum then
    if sums.failed >= error_rate * sums.calls then
      reason = string.format(failed_text, sums.failed, sums.calls)
    elseif slow_rate and sums.slow >= slow_rate * sums.calls then
      reason = string.format(slow_text, sums.slow, sums.calls)
    end
  end
  if reason then
    failures, why, since = 0, reason, now
    open()
  end
end

local answer = {{'', '', 0, 0, '', ''}}
local first = {_FIXED} + 4 * reports + 1
if ARGV[first] and phase == 'open' and now >= till then
  become('half-open')
end
if ARGV[first] and phase == 'half-open' then
  -- Those whose lease has ended are kept: their word may still come.
  local used = redis.call('ZCOUNT', leases, '(' .. number(now), '+inf') + succeeded
  for at = first, #ARGV do
    if used < probes then
      redis.call('ZADD', leases, number(now + lease), ARGV[at])
      answer[#answer + 1] = ARGV[at]
      used = used + 1
    end
  end
end

local keep = number(2 * math.max(span, cap, lease))
if is_changed then
  redis.call('HSET', state, 'epoch', epoch, 'turn', turn, 'phase', phase, 'until', number(till),
    'failures', failures, 'why', why, 'since', number(since), 'succeeded', succeeded, 'slow', slow_ones)
end
redis.call('PEXPIRE', state, keep)
redis.call('PEXPIRE', leases, keep)
answer[1], answer[2], answer[3] = epoch .. ':' .. turn, phase, number(math.max(0, till - now))
answer[4], answer[5], answer[6] = failures, why, number(since)
return answer
""")


def arguments(
    request: Request,
    rules: Rules,
    *,
    member: str,
    epoch: str,
    chance: float,
    tokens: Sequence[str],
) -> list[Part]:
    """What the script is told. `epoch` is what a state is named by that is not there yet; `tokens` name new permits."""
    opening = request.opening or Opening("", 0.0)
    window = f"{rules.window:g}".replace("%", "%%")
    slow = "" if rules.slow_seconds is None else f"{rules.slow_seconds:g}"
    return [
        *(epoch, request.era, member),
        *(round(rules.window * 1e3), rules.minimum, rules.error_rate, rules.slow_rate if slow else ""),
        *(
            round(rules.cooldown * 1e3),
            round(rules.cooldown_cap * 1e3),
            rules.probes,
            round(rules.lease * 1e3),
        ),
        *(
            chance,
            f"%d of %d calls failed in {window} s",
            f"%d of %d calls took {slow} s or longer in {window} s",
        ),
        *request.counts,
        *(
            request.mode,
            round(request.seconds * 1e3),
            opening.failures,
            opening.why,
            round(opening.since * 1e3),
        ),
        len(request.reports),
        *(part for report in request.reports for part in (*report[:3], int(report.is_slow))),
        *tokens,
    ]


def answer(found: Sequence[Any]) -> Shared:
    """What the script has said."""
    era, state, rest, failures, why, since, *grants = (
        part.decode() if isinstance(part, bytes) else str(part) for part in found
    )
    states: dict[str, State] = {"closed": "closed", "open": "open", "half-open": "half-open"}
    return Shared(
        era,
        states[state],
        int(rest) / 1e3,
        Opening(why, int(since) / 1e3, int(failures)),
        tuple(grants),
    )
