"""Random classifiers and encoders of some ten thousand parameters, written to a folder: BERT, DeBERTa, RoBERTa, Llama.

Each has its own byte-level tokenizer that makes `[CLS] text [SEP]` and `[CLS] text [SEP] pair [SEP]`. Weights are drawn
wide, so that the values of two texts differ in the first digits.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}[SEP]{% endfor %}"
NLI_LABELS = ("contradiction", "entailment", "neutral")
_CORPUS = ("What is 12 + 34 * 5? The answer is 182.", "Anna has 3 apples and buys 4 more, so she has 3 + 4 = 7 apples.")
_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "<|user|>", "<|assistant|>", "<|end|>")
_WIDTH = 32


def make_classifier(
    folder: Path,
    family: str = "bert",
    labels: Sequence[str] = ("LABEL_0",),
    *,
    chat_template: str | None = None,
    pad_id: int | None = 0,
    seed: int = 0,
) -> Path:
    """A sequence classifier of that many labels, whose config states that padding id."""
    from transformers import AutoModelForSequenceClassification

    named = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    config = _config(family, _tokenizer(folder, family, chat_template), **named)
    config.pad_token_id = pad_id
    _drawn(AutoModelForSequenceClassification, config, seed).save_pretrained(folder)
    return folder


def make_encoder(folder: Path, family: str = "bert", *, seed: int = 0) -> Path:
    """An encoder, or a decoder without its head."""
    from transformers import AutoModel

    _drawn(AutoModel, _config(family, _tokenizer(folder, family, None)), seed).save_pretrained(folder)
    return folder


def state_pooling(folder: Path, *modes: str, modules: Sequence[str] = ("Transformer", "Pooling"), **own: Any) -> None:
    """Writes the files of sentence-transformers into a folder; `own` are lines of sentence_bert_config.json."""
    places = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [
        {"idx": i, "path": places.get(name, f"{i}_{name}"), "type": f"sentence_transformers.models.{name}"}
        for i, name in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    known = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")
    stated = {"word_embedding_dimension": _WIDTH} | {f"pooling_mode_{name}": name in modes for name in known}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    if own:
        (folder / "sentence_bert_config.json").write_text(json.dumps(own))


def _tokenizer(folder: Path, family: str, chat_template: str | None) -> Any:
    """The tokenizer; as in the real ones, those of BERT and DeBERTa tell the parts of a pair apart."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a token of text, not a secret
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(_SPECIALS), initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(_CORPUS, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if family in ("bert", "deberta") else [])]
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, additional_special_tokens=list(_SPECIALS[4:6]), model_input_names=inputs, **names
    )
    made.chat_template = chat_template
    made.save_pretrained(folder)
    return made


def _config(family: str, tokenizer: Any, **more: Any) -> Any:
    """64 positions for text, whatever the family."""
    from transformers import BertConfig, DebertaV2Config, LlamaConfig, RobertaConfig

    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }
    if family == "deberta":
        relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
        return DebertaV2Config(**common, **relative, type_vocab_size=0, pooler_hidden_size=_WIDTH)
    if family == "roberta":
        return RobertaConfig(**common | {"max_position_embeddings": 64 + tokenizer.pad_token_id + 1})
    if family == "llama":
        return LlamaConfig(**common, num_key_value_heads=2, bos_token_id=None, eos_token_id=tokenizer.sep_token_id)
    return BertConfig(**common)


def _drawn(factory: Any, config: Any, seed: int) -> Any:
    import torch

    # From then on this thread's torch works alone: on a busy machine threads that wait for each other are far slower.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return factory.from_config(config).eval()
