"""vLLM beside the engine in `conclave bench engine`: in an interpreter that has it, for measuring only."""

import asyncio
import contextlib
import json
import os
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("bench_vllm_child.py")
_START_S, _ANSWER_S = 900.0, 3_600.0


@contextlib.asynccontextmanager
async def vllm_system(
    interpreter: Path, model: Any, threads: int | None, cache: int, temperature: float, *, child: Path = CHILD
) -> AsyncIterator[Callable[[list[int], int, int], Awaitable[None]]]:
    """A vLLM with the weights of `model`, as long as the context; what it draws with.

    Raises RuntimeError where it ends or draws something else than was asked for, and TimeoutError.
    """
    with tempfile.TemporaryDirectory(prefix="conclave-bench-") as folder:
        model.save_pretrained(folder)
        process = await asyncio.create_subprocess_exec(
            # -P: the modules beside the file are not those that vLLM means.
            *(str(interpreter), "-P", str(child), folder, str(cache)),
            stdin=PIPE,
            stdout=PIPE,
            env=_environment(folder, threads),
            limit=1 << 20,
        )
        try:
            await _answer(process, _START_S)

            async def draw(prompt: list[int], n: int, tokens: int) -> None:
                await _ask(process, [prompt, n, tokens, temperature])
                if await _answer(process, _ANSWER_S) != [tokens] * n:
                    raise RuntimeError("vLLM did not draw what it was asked for")

            yield draw
        finally:
            await _end(process)


def _environment(home: str, threads: int | None) -> dict[str, str]:
    """For a process that is alone with its packages and its caches, on as many threads as the others."""
    quiet = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    count = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return {"PATH": os.defpath, "HOME": home, "TMPDIR": home, "HF_HUB_OFFLINE": "1"} | quiet | count


async def _ask(process: Process, question: object) -> None:
    if process.stdin is None:
        raise RuntimeError("vLLM has no input")
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()


async def _answer(process: Process, seconds: float) -> Any:
    if process.stdout is None:
        raise RuntimeError("vLLM has no output")
    line = await asyncio.wait_for(process.stdout.readline(), seconds)
    if not line:
        raise RuntimeError("vLLM has ended; its standard error says why")
    return json.loads(line)


async def _end(process: Process) -> None:
    """Its input's end is its own; one that hangs is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 20)
    except TimeoutError:
        process.kill()
        await process.wait()
