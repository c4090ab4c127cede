"""vLLM itself: the one module that imports it, so that only a worker that has started this backend needs it."""

import multiprocessing
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs import tokens_input
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from workers.backends import chat_form
from workers.backends.base import BackendError
from workers.backends.confidence_groups import TOP
from workers.backends.vllm_local.guard import Guard
from workers.backends.vllm_local.options import EngineOptions
from workers.wire.messages import FailureKind, Message

_ON_A_CPU: Mapping[str, Any] = {
    "dtype": "float32",
    # vLLM 0.32 dies of a prompt that is read in parts and whose sample has a seed: it rewinds a CUDA generator.
    "enable_chunked_prefill": False,
    # Only full blocks of a prompt are shared, and vLLM's own choice is 128 tokens.
    "block_size": 32,
}


class Engine:
    """A running engine and its model's tokenizer. `max_positions`: tokens that a prompt and its completion may have."""

    def __init__(self, engine: Any, tokenizer: Any, guard: Guard) -> None:
        self._engine = engine
        self._guard = guard
        self._tokenizer = tokenizer
        self.ends = _ends(engine.model_config, tokenizer)
        self.vocabulary: int = engine.model_config.get_vocab_size()
        self.max_positions: int = engine.model_config.max_model_len

    def prompt_ids(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """The prompt in the model's chat form, and how the reply begins."""
        return chat_form.prompt_ids(self._tokenizer, messages, prefix)

    def space_after(self, prefix: str) -> str:
        """The space to read along behind how a reply begins."""
        return chat_form.space_after(self._tokenizer, prefix)

    def text(self, ids: Iterable[int]) -> str:
        """The ids as text, without special tokens and otherwise exactly as the tokenizer has it."""
        decoded: str = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded

    async def draw(self, ids: Sequence[int], parameters: Mapping[str, Any], request_id: str) -> Any:
        """The finished RequestOutput of one completion. Cancelling aborts it.

        Raises BackendError where vLLM refuses the parameters, and what vLLM raises where the engine fails.
        """
        try:
            sampling = SamplingParams(**parameters, output_kind=RequestOutputKind.FINAL_ONLY)
            prompt = tokens_input(list(ids))
            outputs: AsyncGenerator[Any, None] = self._engine.generate(prompt, sampling, request_id)
            return [output async for output in outputs][-1]
        except VLLMClientError as error:
            # Not its message: that may quote what was asked for.
            named = getattr(error, "parameter", None) or type(error).__name__
            raise BackendError(FailureKind.UNSUPPORTED, f"vLLM refuses: {named}") from error

    async def abort(self, request_ids: Sequence[str]) -> None:
        """Ends what was asked for by these names, within one decode step; what has ended already is passed over."""
        await self._engine.abort(list(request_ids))

    def unfinished(self) -> int:
        """Completions that are under way or wait."""
        count: int = self._engine.get_num_unfinished_requests()
        return count

    async def check_health(self) -> None:
        """Raises where the engine is dead."""
        await self._engine.check_health()

    def shut_down(self) -> None:
        """Ends the engine's processes; waits for them."""
        self._engine.shutdown()
        self._guard.release()


def open_engine(folder: Path, options: EngineOptions) -> Engine:
    """Loads a model folder: nothing is downloaded, no code in the folder runs, and weights are safetensors only.

    Takes up to minutes, in processes of its own. float32 on a CPU. Raises FileNotFoundError where there is no such
    folder, and what vLLM raises where it holds no model that vLLM can serve.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder}")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    arguments = AsyncEngineArgs(
        model=str(folder),
        load_format="safetensors",
        trust_remote_code=False,
        max_model_len=options.context,
        gpu_memory_utilization=options.memory_share,
        kv_cache_memory_bytes=options.cache_mb << 20 if options.cache_mb is not None else None,
        tensor_parallel_size=options.gpus,
        max_num_seqs=options.rows,
        enforce_eager=not options.compiled,
        enable_prefix_caching=True,
        max_logprobs=TOP,
        logprobs_mode="raw_logprobs",
        disable_log_stats=True,
        **(_ON_A_CPU if current_platform.is_cpu() else {}),
    )
    others = {child.pid for child in multiprocessing.active_children()}
    engine = AsyncLLM.from_engine_args(arguments)
    own = [
        child.pid for child in multiprocessing.active_children() if child.pid is not None and child.pid not in others
    ]
    return Engine(engine, tokenizer, Guard(own))


def _ends(config: Any, tokenizer: Any) -> frozenset[int]:
    """Every token id that ends a completion, as the generation config, the model config and the tokenizer name them."""
    found: set[int] = set()
    generation = config.try_get_generation_config() or {}
    for stated in (generation.get("eos_token_id"), config.hf_text_config.eos_token_id, tokenizer.eos_token_id):
        if stated is not None:
            found.update([stated] if isinstance(stated, int) else stated)
    return frozenset(found)
