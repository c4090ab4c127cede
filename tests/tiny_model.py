"""A random Llama of about one million parameters with its own byte-level tokenizer, written to a folder."""

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_CORPUS = ("What is 12 + 34 * 5? The answer is 182.", "Anna has 3 apples and buys 4 more, so she has 3 + 4 = 7 apples.")
_SPECIALS = ("<|eos|>", "<|user|>", "<|assistant|>", "<|system|>")


def make_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    vocabulary: int = 800,
    hidden: int = 128,
    layers: int = 5,
    max_positions: int = 512,
    chat_template: str | None = CHAT_TEMPLATE,
    likely_end: float = 0.0,
) -> Path:
    """Writes model and tokenizer to `folder` and returns it. `likely_end` > 0 makes the end token come up often.

    From then on this thread's torch works alone: on a busy machine threads that wait for each other are far slower.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|eos|>", pad_token="<|eos|>")  # noqa: S106 - a token of text, not a secret
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=max_positions,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(8.0)
        # Half of the vocabulary has no text; without this the random model would mostly draw those.
        model.lm_head.weight[len(tokenizer) :] *= 0.1
        if likely_end:
            model.lm_head.weight[tokenizer.eos_token_id] = (
                model.lm_head.weight[:40].abs().max(dim=0).values * likely_end
            )
    model.save_pretrained(folder, safe_serialization=True)
    return folder
