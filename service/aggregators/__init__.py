"""Aggregators: one file a method, one line here."""

from service.aggregators.auto import Auto
from service.aggregators.base import Aggregator
from service.aggregators.best_of_n import BestOfN
from service.aggregators.borda import Borda
from service.aggregators.checklist import Checklist
from service.aggregators.deepconf import DeepConf
from service.aggregators.fobar import Fobar
from service.aggregators.genrm import Genrm
from service.aggregators.genselect import Genselect
from service.aggregators.gsa import Gsa
from service.aggregators.judge import Judge
from service.aggregators.kemeny import Kemeny
from service.aggregators.majority_of_bests import MajorityOfBests
from service.aggregators.map import Map
from service.aggregators.maxmin import MaxMin
from service.aggregators.median import Median
from service.aggregators.moa import Moa
from service.aggregators.model_switch import ModelSwitch
from service.aggregators.p_true import PTrue
from service.aggregators.pairwise_fusion import PairwiseFusion
from service.aggregators.personas import Personas
from service.aggregators.prefix_consistency import PrefixConsistency
from service.aggregators.ranked_vote import RankedVote
from service.aggregators.region import Region
from service.aggregators.rsa import Rsa
from service.aggregators.rubric import Rubric
from service.aggregators.self_agreement import SelfAgreement
from service.aggregators.self_check import SelfCheck
from service.aggregators.self_prm import SelfPrm
from service.aggregators.tournament import Tournament
from service.aggregators.usc import Usc
from service.aggregators.vote import Vote
from service.aggregators.weighted_vote import WeightedVote
from service.registry import Registry

AGGREGATORS: Registry[Aggregator] = Registry(
    "aggregators",
    (
        Auto,
        Vote,
        WeightedVote,
        Borda,
        BestOfN,
        DeepConf,
        RankedVote,
        Median,
        Region,
        Kemeny,
        MaxMin,
        MajorityOfBests,
        Map,
        ModelSwitch,
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
        Personas,
    ),
)
