"""Measures one seed of one set: every rule on the same rows, and the baselines without routing."""

from __future__ import annotations

import numpy as np

from scripts.quality.baselines import honest_blend, references, singles
from scripts.quality.cells import BLEND, HONEST, MEANS, ORACLE, Cells, Deviation, Plan
from scripts.quality.deviation import compared
from scripts.quality.means import means
from scripts.quality.memory import Floats, Memory
from scripts.quality.metrics import Curve, World, aiq, apgr, blend_aiq, cost_of, cpt, gain, oracle
from scripts.quality.rules import ALPHAS, DEFAULT, EARLIER, MOST, PLAIN, TUNED, Rule
from scripts.quality.settings import EARLIER as EARLIER_SETTINGS
from scripts.quality.settings import Settings
from scripts.quality.shared_memory import Leaning
from scripts.quality.split import Split
from scripts.quality.sql import Postgres, Tenant
from scripts.quality.twin import Search, chosen

#: Instead of a target: the alpha of a new policy.
OWN = 0.0
#: Size of a memory in which priors decide, for comparing the twin.
SMALL = 60


#: Alpha by tagged or not, and by target; None: refused.
Alphas = dict[tuple[bool, float], float | None]


class Seed:
    """One split with the true scores and costs of its rows."""

    def __init__(self, split: Split, plan: Plan, cells: Cells, postgres: Postgres) -> None:
        self._split = split
        self._plan = plan
        self._cells = cells
        self._postgres = postgres
        labels = split.data.labels
        self._world = World.of(labels.quality[split.asked], labels.cost[split.asked], split.strong, split.weak)
        self._questions = split.data.questions.part(split.asked)
        self._tags = (False, True) if labels.tasks else (False,)
        self._search: Search | None = None

    async def measure(self) -> None:
        """Measure everything, in Postgres and in the twin."""
        self.references()
        default, tuned, alphas = await self._in_postgres()
        memory = self._split.memory(listed=True)
        for rule in PLAIN:
            assert rule.settings is not None
            self._curve(self._routed(memory, False, rule.settings), rule.name, False)
        memory = self._split.memory()
        self._curve(honest_blend(self._world, memory), HONEST, False)
        self._curve(self._by_means(memory, default), MEANS, False)
        for tagged in self._tags:
            self._curve(self._routed(memory, tagged, EARLIER_SETTINGS), EARLIER.name, tagged)
            self._curve(self._routed(memory, tagged, default), DEFAULT.name, tagged)
            own = self._routed(memory, tagged, default, np.array([alphas[tagged, OWN] or 0.0]))
            self._cells.put("quality", DEFAULT.name, float(own.quality[0]), tagged=tagged)
            self._cells.put("cost", DEFAULT.name, float(own.cost[0]), tagged=tagged)
            if tagged in tuned:
                self._curve(self._routed(memory, tagged, tuned[tagged]), TUNED.name, tagged)
        memory = self._split.memory(self._plan.memory)
        for tagged, settings in tuned.items():
            # As they were calibrated: without tags in the memory, too.
            self._save(memory if tagged else memory.untagged(), tagged, settings, alphas)
        for size in (size for size in self._plan.sizes if size <= len(self._split.taught)):
            self._learn(size, default)
        await Leaning(self._split, self._plan, self._cells, default).measure(self._postgres)

    def references(self) -> None:
        """Add the baselines without a router, and the oracle."""
        world, put = self._world, self._cells.put
        perfect = Curve.of(world, oracle(world, ALPHAS))
        self._curve(perfect, ORACLE, False)
        put("quality", ORACLE, float(perfect.quality[0]))
        put("cost", ORACLE, float(perfect.cost[0]))
        put("gain", BLEND, 0.0)
        put("AIQ", BLEND, blend_aiq(world))
        some = apgr(world, perfect) is not None
        for metric, value in (("APGR", 0.5), ("APGR by cost", 0.5), ("CPT 50%", 0.5), ("CPT 80%", 0.8)):
            put(metric, BLEND, value if some else None)
        quality, cost = world.quality.mean(axis=0), world.cost.mean(axis=0)
        gains = references(world)
        for name, model in singles(world).items():
            put("gain", name, gains[name])
            put("AIQ", name, float(quality[model]))
            put("quality", name, float(quality[model]))
            put("cost", name, float(cost[model]))

    async def _in_postgres(self) -> tuple[Settings, dict[bool, Settings], Alphas]:
        """Teach, calibrate and compare; return the default settings, the tuned ones, and alphas by rule and target."""
        split, plan, postgres = self._split, self._plan, self._postgres
        tuned: dict[bool, Settings] = {}
        alphas: Alphas = {}
        default = None
        for tagged in self._tags:
            tenant = await postgres.taught(split, split.memory(plan.memory), tagged=tagged)
            policy, default, alphas[tagged, OWN] = await postgres.policy(tenant)
            await self._compare(tenant, DEFAULT, default, tagged)
            await self._compare(tenant, EARLIER, EARLIER_SETTINGS, tagged)
            if tagged:
                await self._compare(tenant, Rule(f"{DEFAULT.name}, tags in the memory"), default, False)
            if split.seed < plan.calibrated:
                tuned[tagged] = await self._calibrate(tenant, policy, default, tagged, alphas)
                await self._compare(tenant, TUNED, tuned[tagged], tagged)
            await postgres.forgotten(tenant)
        assert default is not None
        tenant = await postgres.taught(split, split.memory(plan.memory, listed=True), tagged=False)
        for rule in PLAIN:
            await self._compare(tenant, rule, rule.settings, False)
        await postgres.forgotten(tenant)
        tenant = await postgres.taught(split, split.memory(SMALL), tagged=self._tags[-1])
        await self._compare(tenant, Rule(f"default, {len(tenant.memory.quality)} labels"), default, self._tags[-1])
        await postgres.forgotten(tenant)
        return default, tuned, alphas

    async def _calibrate(
        self, tenant: Tenant, policy: int, default: Settings, tagged: bool, alphas: Alphas
    ) -> Settings:
        """Fill `alphas`; return the settings that router.calibrate found."""
        plan, tuned = self._plan, None
        # The search for settings does not depend on the target, so once is enough. No memory refuses the last target.
        for target in (*plan.targets, 0.01):
            if target not in plan.targets and tuned is not None:
                break
            found = await self._postgres.calibrated(
                tenant, policy, target, tune=tuned is None, rows=plan.rows, seconds=plan.seconds
            )
            alphas[tagged, target] = None if found is None else found.alpha
            if found is not None:
                tuned = found.settings
        return tuned or default

    async def _compare(self, tenant: Tenant, rule: Rule, settings: Settings | None, tagged: bool) -> None:
        asked = self._split.asked[: self._plan.checked]
        found = await compared(self._postgres, self._split, tenant, settings, asked, ALPHAS[1::4], tagged=tagged)
        name = f"{rule.name}{', tags' if tagged else ''}"
        self._cells.deviations.setdefault(name, Deviation()).add(found)

    def _routed(self, memory: Memory, tagged: bool, settings: Settings, alphas: Floats = ALPHAS) -> Curve:
        found = self._searched(memory, settings.k).estimates(settings, tagged=tagged)
        return Curve.of(self._world, chosen(found, alphas, self._split.strong, settings))

    def _by_means(self, memory: Memory, settings: Settings) -> Curve:
        """Decide by the mean quality of each model."""
        found = self._searched(memory, settings.k).estimates(settings, tagged=False)
        found = found.by_means(means(memory, settings.n2)[0])
        return Curve.of(self._world, chosen(found, ALPHAS, self._split.strong, settings))

    def _searched(self, memory: Memory, k: int) -> Search:
        """Find the neighbours of the questions, once for all rules on a memory."""
        last = self._search
        if last is None or last.memory is not memory or k > last.k:
            last = self._search = Search(memory, self._questions, max(k, MOST))
        return last

    def _curve(self, curve: Curve, rule: str, tagged: bool) -> None:
        world = self._world
        for metric, value in (
            ("gain", gain(world, curve)),
            ("AIQ", aiq(world, curve)),
            ("APGR", apgr(world, curve)),
            ("APGR by cost", apgr(world, curve, by_cost=True)),
            ("CPT 50%", cpt(world, curve, 0.5)),
            ("CPT 80%", cpt(world, curve, 0.8)),
        ):
            self._cells.put(metric, rule, value, tagged=tagged)

    def _learn(self, size: int, default: Settings) -> None:
        """Add the gain with so many labels; with tags only for rules that use them."""
        split, put = self._split, self._cells.put
        put("gain", ORACLE, gain(self._world, Curve.of(self._world, oracle(self._world, ALPHAS))), at=size)
        listed = split.memory(size, listed=True)
        for rule in PLAIN:
            assert rule.settings is not None
            put("gain", rule.name, gain(self._world, self._routed(listed, False, rule.settings)), at=size)
        memory = split.memory(size)
        put("gain", HONEST, gain(self._world, honest_blend(self._world, memory)), at=size)
        put("gain", MEANS, gain(self._world, self._by_means(memory, default)), at=size)
        for tagged in self._tags:
            for name, settings in ((EARLIER.name, EARLIER_SETTINGS), (DEFAULT.name, default)):
                put("gain", name, gain(self._world, self._routed(memory, tagged, settings)), tagged=tagged, at=size)

    def _save(self, memory: Memory, tagged: bool, tuned: Settings, alphas: Alphas) -> None:
        """Add the quality and savings of each calibrated alpha on unseen prompts."""
        world, put = self._world, self._cells.put
        quality = float(world.quality[:, world.strong].mean())
        cost = float(world.cost[:, world.strong].mean())
        perfect = Curve.of(world, oracle(world, ALPHAS))
        for target in self._plan.targets:
            alpha = alphas[tagged, target]
            values: tuple[float | None, ...] = (None, None, None, None)
            if alpha is not None:
                curve = self._routed(memory, tagged, tuned, np.array([alpha]))
                reached, spent = float(curve.quality[0]), float(curve.cost[0])
                ratio = reached / max(quality, 1e-9)
                values = ratio, target - ratio, _saved(spent, cost), _saved(world.blend_cost(reached), cost)
            for metric, value in zip(("reached", "missed by", "saved", "saved by the blend"), values, strict=True):
                put(metric, TUNED.name, value, tagged=tagged, at=target)
            if not tagged:
                put("saved", ORACLE, _saved(cost_of(perfect, target * quality), cost), at=target)


def _saved(cost: float, default: float) -> float:
    return 1 - cost / default if default > 0 else 0.0
