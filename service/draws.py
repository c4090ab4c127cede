"""What one sample is drawn from. Samplers make the draws of a wave differ, gathering turns them into jobs."""

from dataclasses import dataclass

from workers.wire.messages import Message, Sampling


@dataclass(frozen=True, slots=True)
class Draw:
    """What one sample is drawn from. Neighbouring samples of equal draws share a job, and so the reading of the prompt.

    `skipped`: how many samples before it are of other models, so that its number among its own model's is known.
    `sampling.seed` is the request's own in every draw: the worker adds the sample's index to it. `variant` says in a
    few words in what this draw differs from others of the answer; empty where in nothing. `prefix`: how every
    completion begins; only what follows it is drawn.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    variant: str = ""
    prefix: str = ""
    skipped: int = 0

    @property
    def characters(self) -> int:
        """The characters of the messages."""
        return sum(len(message.content) for message in self.messages)
