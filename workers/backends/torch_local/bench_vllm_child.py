"""vLLM in an interpreter of its own, asked in lines: run by `bench_vllm.py`, imported by nobody.

Arguments: a model folder, bytes of cache. A line in: prompt token ids, n, new tokens, temperature, as JSON. A line out:
how many tokens each sample has. The first line out says that it is ready, and which vLLM it is.
"""

import json
import os
import sys
from importlib.metadata import packages_distributions, version
from typing import Any

LONGEST = 4_096
"""Tokens that prompt and completion may have."""


def main() -> None:
    """Answers until there is no line any more."""
    # vLLM writes to the standard output too: what answers is another one.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams

    engine = LLM(
        model=sys.argv[1],
        skip_tokenizer_init=True,
        dtype="float32",
        max_model_len=LONGEST,
        max_num_seqs=128,
        kv_cache_memory_bytes=int(sys.argv[2]),
        hf_overrides={"max_position_embeddings": LONGEST},
        disable_log_stats=True,
    )
    distribution = packages_distributions()["vllm"][0]
    say(answers, f"{distribution} {version(distribution)}")
    for line in sys.stdin:
        prompt, n, tokens, temperature = json.loads(line)
        sampling = SamplingParams(
            n=n, temperature=temperature, max_tokens=tokens, ignore_eos=True, detokenize=False, logprobs=None
        )
        (output,) = engine.generate({"prompt_token_ids": prompt}, sampling, use_tqdm=False)
        say(answers, [len(completion.token_ids) for completion in output.outputs])


def say(answers: Any, what: object) -> None:
    """One line."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
