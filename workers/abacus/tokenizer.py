"""Build the tokenizer: byte-level pairs, one token for each number up to 199 and for each fixed line of the prompts."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from random import Random
from string import ascii_lowercase

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from workers.abacus.problems import LARGEST, TRAINING_MIX, draw
from workers.abacus.prompts import MAJORITY_PHRASE, fixed_pieces
from workers.abacus.solutions import ANSWER_PHRASE, UNKNOWN_PHRASE, solve

PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '" + ASSISTANT + "' if message['role'] == 'assistant' else '" + USER + "' }}"
    "{{ message['content'] }}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)

# Numbers, a lone x, and operators with the blanks round them stand alone, so that a step is one token a symbol.
_PIECES = r"\d+|\bx\b| [-+*/=] | ?[A-Za-z']+ ?|[^\sA-Za-z\d]+ ?|\s+"

_Pair = tuple[str, str]


def build_tokenizer(seed: int, *, sample_size: int = 4000, words: int = 640) -> PreTrainedTokenizerFast:
    """Train the pairs on a sample of problems and put the fixed tokens round them."""
    learned = _learn_pairs(_sample_texts(Random(seed), sample_size), words)
    pairs = [*_number_pairs(), *learned, *_letter_pairs()]
    vocabulary = {piece: index for index, piece in enumerate(_in_order(pairs))}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=list(dict.fromkeys(pairs))))
    core.pre_tokenizer = _pre_tokenizer()
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([PAD, USER, ASSISTANT, END])
    core.add_tokens([AddedToken(piece, normalized=False) for piece in fixed_pieces()])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(_PIECES), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _sample_texts(rng: Random, count: int) -> Iterator[str]:
    for _ in range(count):
        problem = draw(rng, TRAINING_MIX)
        yield problem.question
        yield solve(rng, problem).text
        yield f"{ANSWER_PHRASE} {UNKNOWN_PHRASE} Solution 1: 2 (1). 3 (2), 4 (3). "
        yield f"\n{MAJORITY_PHRASE} 6."


def _learn_pairs(texts: Iterable[str], words: int) -> list[_Pair]:
    """The pairs that byte-pair training finds, but those of digits, which are laid down by hand."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = _pre_tokenizer()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + words, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(texts, trainer)
    merges = _merges_of(core)
    return [pair for pair in merges if not any(character.isdigit() for character in "".join(pair))]


def _merges_of(core: Tokenizer) -> list[_Pair]:
    found: Sequence[Sequence[str] | str] = json.loads(core.to_str())["model"]["merges"]
    split = (pair.split(" ") if isinstance(pair, str) else pair for pair in found)
    return [(left, right) for left, right in split]


def _number_pairs() -> list[_Pair]:
    """Pairs that make each number up to LARGEST one token, whichever two of three digits meet first."""
    pairs = [(str(number // 10), str(number % 10)) for number in range(10, 100)]
    for number in range(100, LARGEST + 1):
        text = str(number)
        pairs += [(text[:2], text[2]), (text[0], text[1:])] if text[1] != "0" else [(text[:2], text[2])]
    return pairs


def _letter_pairs() -> list[_Pair]:
    """All pairs of small letters, as the last resort: the letters of a fence cost half a token each."""
    return list(product(ascii_lowercase, ascii_lowercase))


def _in_order(pairs: Sequence[_Pair]) -> list[str]:
    """The vocabulary: every byte, then what each pair makes."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["".join(pair) for pair in pairs]
    return list(dict.fromkeys(pieces))
