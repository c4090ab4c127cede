"""Aggregators: one file a method, one line here."""

from service.aggregators.auto import Auto
from service.aggregators.base import Aggregator
from service.aggregators.gsa import Gsa
from service.aggregators.self_agreement import SelfAgreement
from service.aggregators.vote import Vote
from service.registry import Registry

AGGREGATORS: Registry[Aggregator] = Registry(
    "aggregators",
    (
        Auto,
        Vote,
        SelfAgreement,
        Gsa,
    ),
)
