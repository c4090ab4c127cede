"""A few processes that say which expressions are equal; the `Judge` that the answer type `math` needs."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

from service.answer_types.base import Judgement
from service.equality.apart import Sketch, apart, read_sketch
from service.equality.process import Process, Reply
from service.settings import Settings

MAX_ANSWERS = 64
MAX_PAIRS = 512
"""Beyond these an answer is compared by its canonical form alone, so that the cost of one classing is bounded."""
MAX_CHARS = 400
"""Longer answers are compared by their canonical form alone."""
MAX_PLAIN_CHARS = 100_000
_REMEMBERED = 8_192
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40}|/[0-9]{1,40})?")


class Pool:
    """Judges expressions by Math-Verify, in at most `processes` processes that start when first needed.

    A comparison that takes more than `deadline_ms` of processor time, or memory beyond `memory_mb`, is killed and
    counts as "not equal". What was found is remembered, so that asking again costs nothing. Belongs to one event loop.
    `bare`: for measurements, with nothing to keep the library from running text.
    """

    def __init__(self, processes: int, deadline_ms: int, memory_mb: int, bare: bool = False) -> None:
        self._all = [Process(deadline_ms, memory_mb, bare) for _ in range(processes)]
        self._free: asyncio.LifoQueue[Process] = asyncio.LifoQueue()
        for process in self._all:
            self._free.put_nowait(process)
        self._known: OrderedDict[tuple[str, ...], asyncio.Future[Reply]] = OrderedDict()
        self._working: set[asyncio.Task[Reply]] = set()

    async def judge(self, answers: Sequence[str]) -> Judgement:
        """Which of these canonical forms, most important first, are equal; the same whatever was asked before."""
        listed = list(dict.fromkeys(answers))
        judged = [answer for answer in listed if len(answer) <= MAX_CHARS][:MAX_ANSWERS]
        if len(judged) < 2:
            return Judgement(uncompared=len(listed) - len(judged))
        sketched = await asyncio.gather(*(self._sketch(answer) for answer in judged))
        overruns = sum(lost for _, lost in sketched)
        pairs = [
            (one, other)
            for (one, left), (other, right) in combinations(zip(judged, [s for s, _ in sketched], strict=True), 2)
            if not apart(one, left, other, right)
        ]
        verdicts = await asyncio.gather(*(self._ask("same", *sorted(pair)) for pair in pairs[:MAX_PAIRS]))
        return Judgement(
            equal=frozenset(frozenset(p) for p, v in zip(pairs, verdicts, strict=False) if v.found is True),
            overruns=overruns + sum(verdict.lost is not None for verdict in verdicts),
            uncompared=len(listed) - len(judged) + max(0, len(pairs) - MAX_PAIRS),
        )

    async def place(self, answer: str, classes: Sequence[Sequence[str]]) -> int | None:
        """The first class whose first form the answer equals; None if there is none."""
        firsts = [forms[0] for forms in classes]
        equal = (await self.judge([answer, *firsts])).equal
        return next((k for k, form in enumerate(firsts) if form == answer or frozenset((answer, form)) in equal), None)

    async def plainly(self, gold: str, text: str) -> bool:
        """What Math-Verify alone says: it finds an answer in the text and compares it with the gold one."""
        return (await self._ask("plain", gold, text[-MAX_PLAIN_CHARS:])).found is True

    async def aclose(self) -> None:
        """Kills the processes; what still waits for them is told that nothing is equal."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await asyncio.gather(*(process.close() for process in self._all))

    async def _sketch(self, answer: str) -> tuple[Sketch, bool]:
        if _NUMBER.fullmatch(answer) and not answer.endswith("/0"):
            return ((float(Fraction(answer)), 0.0),), False
        reply = await self._ask("sketch", answer)
        return read_sketch(reply.found), reply.lost is not None

    async def _ask(self, *request: str) -> Reply:
        """The reply, asked for once; a caller that goes away leaves the work to be finished and remembered."""
        known = self._known.get(request)
        if known is None:
            known = asyncio.create_task(self._work(request))
            self._working.add(known)
            known.add_done_callback(self._working.discard)
            self._known[request] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(request)
        return await asyncio.shield(known)

    async def _work(self, request: tuple[str, ...]) -> Reply:
        process = await self._free.get()
        try:
            return await process.ask(*request)
        finally:
            self._free.put_nowait(process)


def math_pool(settings: Settings) -> Pool:
    """The pool that the settings ask for; to be closed by whoever makes it."""
    return Pool(settings.math_processes, settings.math_deadline_ms, settings.math_memory_mb)
