"""The one thread in which a model of this process runs, beside the event loops that ask it."""

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

Model = TypeVar("Model")
Item = TypeVar("Item")


class ModelThread(Generic[Model]):
    """Loads a model and runs `run` with it, in inference mode. `threads`: torch's CPU threads; None: its default."""

    def __init__(self, name: str, load: Callable[[], Model], run: Callable[[Model], None], threads: int | None) -> None:
        self._load = load
        self._run = run
        self._threads = threads
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._loaded: Callable[[BaseException | None], None] | None = None

    async def start(self) -> None:
        """Starts the thread and returns once the model is loaded; raises what loading raises."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[BaseException | None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if not outcome.done():
                outcome.set_result(error)

        def loaded(error: BaseException | None) -> None:
            hand_over(loop, settle, error)

        self._loaded = loaded
        self._thread.start()
        if (error := await outcome) is not None:
            raise error

    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Waits for the thread's end, if it was started."""
        if self._thread.ident is not None:
            self._thread.join()

    def _main(self) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            model = self._load()
        except Exception as error:  # noqa: BLE001 - not swallowed: start() raises it in the caller's task
            self._tell(error)
            return
        self._tell(None)
        with torch.inference_mode():
            self._run(model)

    def _tell(self, error: BaseException | None) -> None:
        if self._loaded is not None:
            self._loaded(error)


def hand_over(loop: asyncio.AbstractEventLoop, take: Callable[[Item], None], item: Item) -> bool:
    """Lets an event loop take something, from any thread; False if the loop is closed: nobody waits any more."""
    try:
        loop.call_soon_threadsafe(take, item)
    except RuntimeError:
        return False
    return True


async def asked(ask: Callable[[Callable[[bool], None]], None], patience_s: float) -> bool:
    """What a thread answers; False after `patience_s`. `ask` is given what the thread calls with its answer."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[bool] = loop.create_future()

    def settle(answer: bool) -> None:
        if not outcome.done():
            outcome.set_result(answer)

    def answered(answer: bool) -> None:
        hand_over(loop, settle, answer)

    ask(answered)
    try:
        async with asyncio.timeout(patience_s):
            return await outcome
    except TimeoutError:
        return False


def out_of_memory(error: Exception) -> bool:
    """True for torch's out-of-memory errors; the CPU allocator's is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def runs_short(phase: Callable[[], None]) -> bool:
    """Runs a phase; True if the device's memory ran out in it. By then the error and the tensors it held are gone."""
    try:
        phase()
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return True
    return False
