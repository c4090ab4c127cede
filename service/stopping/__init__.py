"""Stopping rules: one file a rule, one line here."""

from service.registry import Registry
from service.stopping.base import StoppingRule
from service.stopping.beta import Beta
from service.stopping.deepconf_online import DeepConfOnline
from service.stopping.lead import Lead
from service.stopping.none import NoStop

STOPPING_RULES: Registry[StoppingRule] = Registry(
    "stopping",
    (
        NoStop,
        Lead,
        Beta,
        DeepConfOnline,
    ),
)
