"""Turn examples into batches of about equal size, each of rows of about equal length."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from workers.abacus.examples import EARLY_SHARES, Example, ExampleMaker, shares
from workers.abacus.problems import LARGEST
from workers.abacus.tokenizer import ASSISTANT, END, USER

TASKS = tuple(EARLY_SHARES)
EARLY = len(TASKS)
"""The task number of the counts asked for at the ideas and the proposed answer of a verdict's prompt."""

_BUCKET = 8
_CHUNK = 1500


@dataclass(frozen=True)
class Batch:
    """Rows of tokens padded on the right, and where in the flattened rows which next token is to be learned."""

    ids: Tensor
    places: Tensor
    targets: Tensor
    weights: Tensor
    tasks: Tensor


@dataclass(frozen=True)
class _Row:
    ids: list[int]
    prompt_length: int
    task: int
    weights: list[float]
    verdict: bool


class BatchMaker:
    """An endless stream of batches in which each skill has its share of the tokens."""

    def __init__(self, maker: ExampleMaker, tokenizer: PreTrainedTokenizerBase, *, tokens: int) -> None:
        self._maker = maker
        self._tokenizer = tokenizer
        self._tokens = tokens
        self._buckets: dict[int, list[_Row]] = defaultdict(list)
        self._asking = tokenizer.convert_tokens_to_ids("Is the possible answer:")
        self._ideas = tokenizer.convert_tokens_to_ids("Here are some ideas that were brainstormed:")
        self._number_ids = [int(tokenizer.convert_tokens_to_ids(str(number))) for number in range(LARGEST + 1)]
        self._numbers = frozenset(self._number_ids)
        self._wanted = EARLY_SHARES
        self._spent = dict.fromkeys(TASKS, 0.0)

    def __iter__(self) -> Iterator[Batch]:
        """Make batches for ever, in random order within a chunk of examples."""
        while True:
            ready = self._fill()
            self._maker.rng.shuffle(ready)
            for rows in ready:
                yield self._batch(rows)

    def _fill(self) -> list[list[_Row]]:
        ready = []
        for row in self._rows():
            width = -(-len(row.ids) // _BUCKET) * _BUCKET
            bucket = self._buckets[width]
            bucket.append(row)
            if len(bucket) * width >= self._tokens:
                ready.append(bucket)
                self._buckets[width] = []
        return ready

    def _rows(self) -> Iterator[_Row]:
        # Lengths are known only after a chunk is encoded: until then typical ones stand in for them.
        lengths = {"solve": 70.0, "gsa": 250.0, "self_agreement": 250.0, "p_true": 45.0, "fobar": 75.0}
        examples = []
        wanted = shares(self._maker.progress)
        if wanted is not self._wanted:
            # Counted from the start, a skill whose share falls would get nothing until the past is made up for.
            self._wanted, self._spent = wanted, dict.fromkeys(TASKS, 0.0)
        for _ in range(_CHUNK):
            task = min(TASKS, key=lambda name: self._spent[name] / wanted[name])
            self._spent[task] += lengths[task]
            examples.append(self._maker.make(task))
        rows = self._encode(examples)
        for row, example in zip(rows, examples, strict=True):
            self._spent[example.task] += len(row.ids) - lengths[example.task]
        yield from rows

    def _encode(self, examples: list[Example]) -> list[_Row]:
        prompts = [f"{USER}{each.prompt}{END}{ASSISTANT}" for each in examples]
        completions = [f"{each.completion}{END}" for each in examples]
        # Not `encode_batch_fast`: that one leaves out where in the text each token stands.
        encode = self._tokenizer.backend_tokenizer.encode_batch
        rows = []
        for example, prompt, completion in zip(examples, encode(prompts), encode(completions), strict=True):
            ids = [*prompt.ids, *completion.ids]
            weights = _token_weights(example, [start for start, _ in completion.offsets])
            rows.append(_Row(ids, len(prompt.ids), TASKS.index(example.task), weights, example.truth is not None))
        return rows

    def _counts(self, row: _Row) -> Iterator[tuple[int, int]]:
        """Each idea's and the proposal's place in a verdict's prompt, and the token of how often it has come by then.

        Nobody reads these predictions; learning them teaches the model to look whether the proposal is among the ideas,
        which one token of verdict an example never did.
        """
        first = max(place for place, token in enumerate(row.ids) if token == self._ideas)
        last = max(place for place, token in enumerate(row.ids) if token == self._asking)
        met: Counter[int] = Counter()
        for place in range(first, last):
            token = row.ids[place]
            if token in self._numbers:
                met[token] += 1
                yield place, self._number_ids[met[token]]

    def _batch(self, rows: list[_Row]) -> Batch:
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), int(self._tokenizer.pad_token_id))
        places: list[int] = []
        targets: list[int] = []
        weights: list[float] = []
        tasks: list[int] = []
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = torch.tensor(row.ids)
            written = row.ids[row.prompt_length :]
            start = number * width + row.prompt_length - 1
            places += range(start, start + len(written))
            targets += written
            # The end of an answer is a token like any other, but not worth a verdict's weight.
            weights += [*row.weights[:-1], 0.1 if row.verdict else 1.0]
            tasks += [row.task] * len(written)
            for place, count in self._counts(row) if row.verdict else ():
                places.append(number * width + place)
                targets.append(count)
                weights.append(1.0)
                tasks.append(EARLY)
        return Batch(ids, torch.tensor(places), torch.tensor(targets), torch.tensor(weights), torch.tensor(tasks))


def _token_weights(example: Example, starts: Sequence[int]) -> list[float]:
    """The weight of each token of a completion; `starts` are the places of the tokens' first characters."""
    weights = [example.weight] * len(starts)
    for marked, weight in example.marks:
        for place, start in enumerate(starts):
            if start in marked:
                weights[place] = weight
    return weights
