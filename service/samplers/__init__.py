"""Samplers: one file a method, one line here."""

from service.registry import Registry
from service.samplers.base import Sampler
from service.samplers.choice_shuffle import ChoiceShuffle
from service.samplers.deepen import Deepen
from service.samplers.few_shot import FewShot
from service.samplers.iid import Iid
from service.samplers.languages import Languages
from service.samplers.navigate import Navigate
from service.samplers.prompts import Prompts
from service.samplers.temperature_ladder import TemperatureLadder

SAMPLERS: Registry[Sampler] = Registry(
    "samplers",
    (
        ChoiceShuffle,
        Deepen,
        FewShot,
        Iid,
        Languages,
        Navigate,
        Prompts,
        TemperatureLadder,
    ),
)
