"""Planning a request against the pools of workers that there are now."""

from service.catalog import Catalog
from service.contract import AnswerRequest
from service.plan import Plan, make_plan, meaning
from service.pool_fit import check_asked, member_pools
from service.sampler_fit import check_embedder
from service.settings import Settings


class Planner:
    """Makes plans by the settings of this deployment and its live pools."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog

    async def plan(self, request: AnswerRequest, answer_id: str | None = None, seed: int | None = None) -> Plan:
        """The plan, checked against the pools there are; with the id and the seed of an answer, that one's again.

        Raises BadRequest, naming the field, UnknownModel, and what Redis raises.
        """
        pool = await self._catalog.pool(request.model)
        asked = meaning(request)
        comparing = await self._catalog.find(asked.model) if asked else None
        members = await member_pools(request, self._catalog)
        plan = make_plan(request, pool, self._settings, comparing, answer_id=answer_id, seed=seed, members=members)
        await check_embedder(plan.sampler, self._catalog)
        await check_asked(plan.aggregator, self._catalog)
        return plan
