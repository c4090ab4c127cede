"""The upstreams of one model: what is known of each, and which one gets the next call."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from workers.backends.base import BackendError
from workers.backends.breaker import Breaker
from workers.backends.connections import Connections
from workers.backends.openai_dialects import ANY, DIALECTS, Dialect, Seeds, signed
from workers.backends.openai_reply import RejectionError
from workers.wire.messages import FailureKind, Provides

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Upstream:
    """One server at `url` (the part before `/chat/completions`).

    `dialect` is what is known of it by now: it begins with the named one, or with `ANY` until the server is recognised,
    and gives up what the server's replies show that it has not. `model`: its name for the model, once known.
    """

    url: str
    dialect: Dialect
    named: bool
    model: str | None
    limit: int
    breaker: Breaker
    connections: Connections | None = None
    in_flight: int = 0
    resting_until: float = 0.0
    ask_again_at: float = 0.0

    @property
    def place(self) -> str:
        """Its host and port, for people: the URL can hold a password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def rest_s(self) -> float:
        """Seconds until the time that its last Retry-After asked for."""
        return max(0.0, self.resting_until - time.monotonic())

    @property
    def unknown(self) -> bool:
        """It is time to ask what server it is."""
        return not self.named and time.monotonic() >= self.ask_again_at

    @property
    def several(self) -> bool:
        """It gives several choices a call, as far as is known."""
        return "n" in self.dialect.fields

    def rest(self, seconds: float) -> None:
        """It asked for so long a pause."""
        self.resting_until = max(self.resting_until, time.monotonic() + seconds)

    def learn(self, listing: object) -> None:
        """Takes the model's name, and the dialect by its signature, from a reply to `GET /models`."""
        models = listing.get("data") if isinstance(listing, dict) else None
        models = [each for each in models if isinstance(each, dict)] if isinstance(models, list) else []
        if not models:
            return
        first = next((each for each in models if each.get("id") == self.model), models[0])
        if self.model is None and isinstance(first.get("id"), str):
            self.model = first["id"]
        known = None if self.named else signed(first.get("owned_by"))
        if known is not None:
            self.named = True
            self.dialect = known if self.dialect.logprobs else replace(known, logprobs=False)

    def give_up(self, *fields: str) -> None:
        """It does not heed these request fields."""
        if "logprobs" in fields:
            self.dialect = replace(self.dialect, logprobs=False)
        self.dialect = replace(self.dialect, fields=self.dialect.fields - set(fields))

    def adapt(self, refusal: RejectionError, asked: dict[str, Any]) -> None:
        """Remembers what of `asked` it refuses that was only hoped for or can be said in another way."""
        about = refusal.about
        changes: dict[str, Any] = {}
        if "logprobs" in about and "logprobs" in asked:
            changes["logprobs"] = False
        if "length" in about and "max_tokens" in asked:
            changes["length"] = "max_completion_tokens"
        if "top_p" in about and asked.get("top_p") == 1.0:
            changes["top_p_1"] = False
        if "seed" in about and "seed" in asked:
            changes["seeds"] = Seeds.REFUSED
        self.dialect = replace(self.dialect, **changes)


def upstreams_of(urls: str, model: str | None, *, limit: int, failures: int, pause_s: float) -> tuple[Upstream, ...]:
    """The upstreams of `[DIALECT+]URL[,...]`. Raises ValueError where one is no such thing.

    The dialect stands before the URL's scheme, as in `vllm+http://host:8000/v1`: behind it, a query would be the
    server's own (some have one), and each of several servers can have its own dialect.
    """
    return tuple(_upstream(each.strip(), model, limit, Breaker(failures, pause_s)) for each in urls.split(","))


def _upstream(written: str, model: str | None, limit: int, breaker: Breaker) -> Upstream:
    scheme, _, rest = written.partition("://")
    name, _, scheme = scheme.rpartition("+")
    if scheme not in ("http", "https") or not rest:
        raise ValueError("an upstream's URL begins with http:// or https://, or with a dialect, as in vllm+http://")
    if name and name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}: one of {', '.join(sorted(DIALECTS))}")
    dialect = DIALECTS.get(name, ANY)
    return Upstream(f"{scheme}://{rest}".rstrip("/"), dialect, bool(name), model, limit, breaker)


@dataclass(frozen=True, slots=True)
class Turn:
    """One call's place at an upstream."""

    upstream: Upstream
    probe: bool


class Upstreams:
    """Gives each call to the upstream with the least calls in flight, the first of those that have equally many.

    An upstream has at most its `limit` of calls at a time; where all are full, calls wait in the order in which they
    came. One whose breaker is open is not asked; where all are open, a call fails at once.
    """

    def __init__(self, members: Sequence[Upstream]) -> None:
        self.members = tuple(members)
        self._waiting: deque[tuple[asyncio.Future[Turn], Sequence[Upstream], Collection[Upstream]]] = deque()

    @property
    def provides(self) -> frozenset[Provides]:
        """What each of them provides."""
        return frozenset.intersection(*(member.dialect.provides for member in self.members))

    async def take(self, allowed: Sequence[Upstream], tried: Collection[Upstream]) -> Turn:
        """A turn at one of `allowed`, if it can be at none of `tried`. Raises BackendError(UPSTREAM_UNREACHABLE) where
        all breakers are open. What is taken is given back."""
        turn = self._turn(allowed, tried)
        if turn is not None:
            return turn
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, allowed, tried))
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result(), None)
            raise

    def give_back(self, turn: Turn, succeeded: bool | None) -> None:
        """The call ended; None: it was given up."""
        upstream, breaker = turn.upstream, turn.upstream.breaker
        was_open = breaker.open
        upstream.in_flight -= 1
        breaker.end(turn.probe, succeeded)
        if breaker.open and (turn.probe or not was_open) and succeeded is False:
            log.warning("upstream %s fails: it is left alone for %.1f s", upstream.place, breaker.left_s)
        elif was_open and not breaker.open:
            log.warning("upstream %s is asked again", upstream.place)
        self._serve()

    def _serve(self) -> None:
        """Calls that wait get the turns that there are now."""
        while self._waiting:
            waiter, allowed, tried = self._waiting[0]
            if not waiter.done() and not self._served(waiter, allowed, tried):
                return
            self._waiting.popleft()

    def _served(self, waiter: "asyncio.Future[Turn]", allowed: Sequence[Upstream], tried: Collection[Upstream]) -> bool:
        try:
            turn = self._turn(allowed, tried)
        except BackendError as error:
            waiter.set_exception(error)
            return True
        if turn is not None:
            waiter.set_result(turn)
        return turn is not None

    def _turn(self, allowed: Sequence[Upstream], tried: Collection[Upstream]) -> Turn | None:
        """A turn, or None where all that admit calls are full."""
        admitting = [each for each in allowed if each.breaker.admits]
        if not admitting:
            left_s = min(each.breaker.left_s for each in allowed)
            when = f"the next try is in {left_s:.1f} s" if left_s else "being tried just now"
            raise BackendError(FailureKind.UPSTREAM_UNREACHABLE, f"left alone after too many failed calls, {when}")
        free = [each for each in admitting if each.in_flight < each.limit]
        if not free:
            return None
        chosen = min(free, key=lambda each: (each in tried, each.rest_s > 0, each.in_flight))
        chosen.in_flight += 1
        return Turn(chosen, chosen.breaker.begin())
