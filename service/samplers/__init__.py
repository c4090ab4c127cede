"""Samplers: one file a method, one line here."""

from service.registry import Registry
from service.samplers.base import Sampler
from service.samplers.iid import Iid

SAMPLERS: Registry[Sampler] = Registry("samplers", (Iid,))
