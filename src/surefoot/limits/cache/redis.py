"""Answers in Redis: compressed, sealed, and gone when their time is over."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import orjson

from surefoot.effects import Await, Program
from surefoot.limits.cache.store import Sought, Taken
from surefoot.limits.redis import Part, Script, SharedRedis
from surefoot.values import CachedAnswer, CachedChoice, CachedCount, CacheRow

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD_LEVEL = 3
_SMALL = 512
"""Bytes below which an answer is not compressed: it would be no smaller."""
_PLAIN, _ZSTD = b"\x00", b"\x01"
_HEAD = 2
"""Bytes in which the length of what stands before the sealed part is told."""
_Head: TypeAlias = "tuple[str, dict[str, Any], int]"
_SCANNED = 500
_SHOWN = 200
"""Characters of a name that stand there."""

# An answer, or the lead: of all that ask at once, one gets it.
_LEAD = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 and ARGV[3] == '' then return {'answered', ''} end
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] and held ~= ARGV[4] then return {'busy', held} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'led', ''}
"""
)
_RENEW = Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)
_LEAVE = Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)
_KEEP = Script(
    """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
return 1
"""
)


@dataclass(frozen=True, slots=True)
class Sealing:
    """How answers are sealed, for a purpose and bound to their key, and who this process is.

    `unseal` raises where key, binding or bytes differ. `is_gone` says of an owner that it is provably there no more.
    """

    seal: Callable[[bytes, str], bytes]
    unseal: Callable[[bytes, str], bytes]
    owner: Callable[[], str]
    is_gone: Callable[[str], bool]


class RedisAnswers:
    """Fulfils `surefoot.limits.cache.Store`, over a Redis server that processes share.

    A value begins with what it is found by when it is to be cleared (flow, prompt, tenant, when it was made); the
    answer behind it is sealed.
    """

    keeps_rows = False

    def __init__(self, redis: SharedRedis, sealing: Sealing) -> None:
        self._redis = redis
        self._sealing = sealing

    @property
    def name(self) -> str:
        """As messages call it."""
        return "Redis"

    def find(self, sought: Sought, /) -> Program[CachedAnswer | None]:
        """See `surefoot.limits.cache.Store.find`. Raises `Unavailable`, and what `unseal` raises."""
        value = yield Await(partial(self._redis.run, "GET", self._answer(sought.key)))
        if value is None:
            return None
        head, sealed = _parts(cast("bytes", value))
        now = time.time_ns()
        age, left = now - int(head["made_ns"]), int(head["expires_ns"]) - now
        # The clocks of two machines may differ by a little.
        if head["tenant"] != sought.tenant[:_SHOWN] or age > sought.most_ns or left <= 0:
            return None
        packed = self._sealing.unseal(sealed, self._bound(sought.key, head))
        content = packed[1:] if packed[:1] == _PLAIN else zstd.decompress(packed[1:])
        record = cast("dict[str, Any]", orjson.loads(content))
        if isinstance(body := record.get("body"), dict):
            record["body"] = base64.b64decode(cast("dict[str, str]", body)["base64"])
        return CachedAnswer(record, head["run"], max(0, age), left)

    def lead(self, sought: Sought, token: str, lease_ns: int, /) -> Program[Taken]:
        """See `surefoot.limits.cache.Store.lead`. Raises `Unavailable`."""
        mine = self._held(token)
        gone, is_answered = "", ""
        while True:
            keys = [self._answer(sought.key), self._flight(sought.key)]
            arguments: list[Part] = [mine, max(1, lease_ns // 1_000_000), is_answered, gone]
            said = yield Await(partial(self._redis.script, _LEAD, keys, arguments))
            taken, holder = (part.decode() for part in cast("list[bytes]", said))
            if taken == "answered":
                found = yield from self.find(sought)
                if found is not None:
                    return "answered"
                # One that is too old, or not ours.
                is_answered = "no"
                continue
            if taken == "busy" and holder != gone and self._sealing.is_gone(holder.partition(" ")[2]):
                gone = holder
                continue
            return "led" if taken == "led" else "busy"

    def renew(self, held: Sequence[tuple[bytes, str]], lease_ns: int, /) -> Program[None]:
        """See `surefoot.limits.cache.Store.renew`. Raises `Unavailable`."""
        for key, token in held:
            arguments: list[Part] = [self._held(token), max(1, lease_ns // 1_000_000)]
            yield Await(partial(self._redis.script, _RENEW, [self._flight(key)], arguments))

    def keep(self, row: CacheRow, answer: CachedAnswer, /) -> Program[None]:
        """See `surefoot.limits.cache.Store.keep`. Raises `Unavailable`."""
        now = time.time_ns()
        head = {
            "tenant": row.tenant[:_SHOWN],
            "flow": row.flow[:_SHOWN],
            "prompt": row.prompt[:_SHOWN],
            "run": answer.run_id,
            "made_ns": now,
            "expires_ns": now + row.ttl_ns,
        }
        record = dict(answer.record)
        if isinstance(body := record.get("body"), bytes):
            record["body"] = {"base64": base64.b64encode(body).decode()}
        content = orjson.dumps(record)
        packed = _PLAIN + content if len(content) < _SMALL else _ZSTD + zstd.compress(content, _ZSTD_LEVEL)
        sealed = self._sealing.seal(packed, self._bound(row.key, head))
        shown = orjson.dumps(head)
        value = len(shown).to_bytes(_HEAD, "big") + shown + sealed
        keys = [self._answer(row.key), self._flight(row.key)]
        arguments: list[Part] = [value, max(1, row.ttl_ns // 1_000_000), self._held(row.token)]
        yield Await(partial(self._redis.script, _KEEP, keys, arguments))

    def leave(self, key: bytes, token: str, /) -> None:
        """See `surefoot.limits.cache.Store.leave`."""
        self._redis.post_script(_LEAVE, [self._flight(key)], [self._held(token)])

    def counts(self) -> Program[list[CachedCount]]:
        """See `surefoot.limits.cache.Store.counts`. Raises `Unavailable`."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for _, head, size in cast("list[_Head]", (yield Await(self._heads))):
            answers, total = found.get((head["flow"], head["prompt"]), (0, 0))
            found[head["flow"], head["prompt"]] = (answers + 1, total + size)
        counted = [CachedCount(flow, prompt, n, 0, size) for (flow, prompt), (n, size) in found.items()]
        return sorted(counted, key=lambda one: (-one.answers, one.flow, one.prompt))

    def clear(self, choice: CachedChoice, /) -> Program[int]:
        """See `surefoot.limits.cache.Store.clear`. Raises `Unavailable`."""
        now, names = time.time_ns(), list[str]()
        for name, head, _ in cast("list[_Head]", (yield Await(self._heads))):
            wanted = {"prompt": choice.prompt, "flow": choice.flow, "tenant": choice.tenant}
            is_young = choice.older_ns is not None and now - int(head["made_ns"]) <= choice.older_ns
            if not is_young and all(v is None or head[k] == v[:_SHOWN] for k, v in wanted.items()):
                names.append(name)
        dropped = 0
        for start in range(0, len(names), _SCANNED):
            dropped += cast(
                "int", (yield Await(partial(self._redis.run, "UNLINK", *names[start : start + _SCANNED])))
            )
        return dropped

    async def _heads(self) -> list[_Head]:
        """All answers that are kept: the name of each, what it is found by, and its size in bytes."""
        found: dict[str, _Head] = {}
        cursor = "0"
        while True:
            said = await self._redis.run(
                "SCAN", cursor, "MATCH", self._redis.key("answer", "*"), "COUNT", _SCANNED
            )
            cursor, names = said[0].decode(), [name.decode() for name in said[1]]
            if names:
                commands: list[tuple[str, ...]] = [("GETRANGE", name, "0", "4095") for name in names]
                commands += [("STRLEN", name) for name in names]
                answers = await self._redis.run_all(commands)
                for place, name in enumerate(names):
                    # One whose time is over meanwhile is empty.
                    if answers[place]:
                        found[name] = (name, _parts(answers[place])[0], int(answers[len(names) + place]))
            if cursor == "0":
                return list(found.values())

    def _answer(self, key: bytes) -> str:
        return self._redis.key("answer", key.hex())

    def _flight(self, key: bytes) -> str:
        return self._redis.key("flight", key.hex())

    def _held(self, token: str) -> str:
        return f"{token} {self._sealing.owner()}"

    def _bound(self, key: bytes, head: Mapping[str, Any]) -> str:
        """What the sealed part belongs to: under another key, or behind another head, it does not open."""
        return f"{key.hex()}/{orjson.dumps(head, option=orjson.OPT_SORT_KEYS).decode()}"


def _parts(value: bytes) -> tuple[dict[str, Any], bytes]:
    end = _HEAD + int.from_bytes(value[:_HEAD], "big")
    return cast("dict[str, Any]", orjson.loads(value[_HEAD:end])), value[end:]
