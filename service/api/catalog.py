"""What there is: models, aggregators, answer types, samplers, stopping rules."""

import inspect
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from service.aggregators import AGGREGATORS
from service.aggregators.base import Aggregator, calls_for, evenly
from service.answer_types import ANSWER_TYPES
from service.api.problems import responses
from service.api.state import Service
from service.errors import QueueUnavailable
from service.registry import Plugin, Registry
from service.samplers import SAMPLERS
from service.stopping import STOPPING_RULES

SHOWN_VOTES = 8
"""Voting samples of the table of calls: as many as are drawn by default."""

router = APIRouter(prefix="/v1", tags=["catalog"])


class ModelEntry(BaseModel):
    """A live pool, in the OpenAI shape; `conclave` is ours."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "conclave"
    conclave: dict[str, Any]


class ModelList(BaseModel):
    """The live pools."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class PluginEntry(BaseModel):
    """One plug-in: what it does and the JSON schema of its options.

    `needs`: what workers must supply by default. `calls`: how many calls to a model an aggregator makes. `calls_made`:
    how many these are with its default options, for 8 voting samples that fall into 1, 2, ... 8 classes as equal as can
    be, of a pool that does nothing but chat, where replies keep to the form and prompts fit; where a method ends early
    by what it reads, the most that it then makes.
    """

    name: str
    description: str
    options: dict[str, Any]
    needs: list[str] = []
    calls: str | None = None
    calls_made: list[int] | None = None


class PluginList(BaseModel):
    """The plug-ins of one kind."""

    object: Literal["list"] = "list"
    data: list[PluginEntry]


@router.get("/models", responses=responses(503, openai=True))
async def models(service: Service) -> ModelList:
    """The models that live workers serve."""
    try:
        pools = await service.catalog.pools()
    except (RedisError, OSError) as error:
        raise QueueUnavailable(f"the pools cannot be read: {type(error).__name__}") from error
    return ModelList(
        data=[
            ModelEntry(
                id=pool.model,
                created=min(card.started_ms for card in pool.cards) // 1000,
                conclave={
                    "workers": len(pool.cards),
                    "backends": sorted({card.backend for card in pool.cards}),
                    "provides": sorted(pool.provides or ()),
                    "capacity_samples": sum(card.capacity_samples for card in pool.cards),
                },
            )
            for pool in pools.values()
        ]
    )


def _list(registry: Registry[Any]) -> PluginList:
    return PluginList(data=[_entry(plugin) for plugin in registry.values()])


def _entry(plugin: type[Plugin]) -> PluginEntry:
    return PluginEntry(
        name=plugin.name,
        description=inspect.getdoc(plugin) or "",
        options=plugin.Options.model_json_schema(),
        needs=sorted(getattr(plugin, "needs", ())),
        calls=getattr(plugin, "calls", None),
    )


def _calls_made(plugin: type[Aggregator]) -> list[int] | None:
    """What `PluginEntry.calls_made` says; None for what does not say it or has no default options."""
    try:
        aggregator = AGGREGATORS.make(plugin.name, plugin.Options())
    except ValidationError:
        return None
    made = [calls_for(aggregator, evenly(SHOWN_VOTES, classes)) for classes in range(1, SHOWN_VOTES + 1)]
    return [count for count in made if count is not None] or None


@router.get("/aggregators")
async def aggregators() -> PluginList:
    """The aggregators."""
    entries = [_entry(plugin).model_copy(update={"calls_made": _calls_made(plugin)}) for plugin in AGGREGATORS.values()]
    return PluginList(data=entries)


@router.get("/answer-types")
async def answer_types() -> PluginList:
    """The answer types."""
    return _list(ANSWER_TYPES)


@router.get("/samplers")
async def samplers() -> PluginList:
    """The samplers."""
    return _list(SAMPLERS)


@router.get("/stopping-rules")
async def stopping_rules() -> PluginList:
    """The stopping rules."""
    return _list(STOPPING_RULES)
