"""Aggregators: one file a method, one line here."""

from service.aggregators.auto import Auto
from service.aggregators.base import Aggregator
from service.aggregators.checklist import Checklist
from service.aggregators.fobar import Fobar
from service.aggregators.genrm import Genrm
from service.aggregators.genselect import Genselect
from service.aggregators.gsa import Gsa
from service.aggregators.judge import Judge
from service.aggregators.moa import Moa
from service.aggregators.p_true import PTrue
from service.aggregators.pairwise_fusion import PairwiseFusion
from service.aggregators.prefix_consistency import PrefixConsistency
from service.aggregators.rsa import Rsa
from service.aggregators.rubric import Rubric
from service.aggregators.self_agreement import SelfAgreement
from service.aggregators.self_check import SelfCheck
from service.aggregators.self_prm import SelfPrm
from service.aggregators.tournament import Tournament
from service.aggregators.usc import Usc
from service.aggregators.vote import Vote
from service.registry import Registry

AGGREGATORS: Registry[Aggregator] = Registry(
    "aggregators",
    (
        Auto,
        Vote,
        SelfAgreement,
        Usc,
        Genselect,
        Gsa,
        Moa,
        Rsa,
        PTrue,
        Genrm,
        Fobar,
        SelfCheck,
        SelfPrm,
        PrefixConsistency,
        PairwiseFusion,
        Tournament,
        Rubric,
        Judge,
        Checklist,
    ),
)
