"""Stopping rules: one file a rule, one line here.

Three kinds of promise, which each rule's description names: that the winner is the one of all n samples (`lead`); a
bound of error about which answer the model gives most often (`certified`, `grey`, `ppr` with a known number of
answers); none at all (`beta`, `dirichlet`, `esc`, `consensus`, `switch`, `deadline`: policies that save). Whatever ends
the sampling, the certificate holds for what was drawn (service/confidence).
"""

from service.registry import Registry
from service.stopping.base import StoppingRule
from service.stopping.beta import Beta
from service.stopping.certified import Certified
from service.stopping.consensus import Consensus
from service.stopping.deadline import Deadline
from service.stopping.deepconf_online import DeepConfOnline
from service.stopping.dirichlet import Dirichlet
from service.stopping.esc import Esc
from service.stopping.grey import Grey
from service.stopping.lead import Lead
from service.stopping.none import NoStop
from service.stopping.ppr import Ppr
from service.stopping.switch import Switch

STOPPING_RULES: Registry[StoppingRule] = Registry(
    "stopping",
    (
        NoStop,
        Lead,
        Beta,
        Dirichlet,
        Esc,
        Ppr,
        Certified,
        Grey,
        Consensus,
        Switch,
        Deadline,
        DeepConfOnline,
    ),
)
