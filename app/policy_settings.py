"""The settings of a policy: name, type, default and range of each, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """A setting of a policy: a column of `router.policies` and an attribute of the SQL type `policy_settings`."""

    #: Name of the column.
    name: str
    #: Type of a value; a `str` is one of `choices`.
    kind: type[int] | type[float] | type[str]
    #: Value for a new policy, if the environment names none.
    default: float | str
    #: Description, as a noun phrase without a full stop.
    help: str
    #: Least value, inclusive.
    low: float = 0
    #: Greatest value, inclusive; infinity is a value.
    high: float = 1e6
    #: Allowed values of a `str`.
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The option of `pgrouter policy put`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable with the value for new policies."""
        return f"ROUTER_{self.name.upper()}"

    @property
    def range(self) -> str:
        """The allowed values of a number, in words."""
        return f"{self.low:.10g} to {self.high:.10g}"

    @property
    def brief_range(self) -> str:
        """The same for help and documents, which leave out the limit of the column's type."""
        return f"{self.low:.10g} or more" if self.high == LARGEST else self.range


#: Greatest value of a column of type int.
LARGEST = 2**31 - 1

#: Every setting of a policy, by name, in the order of the SQL type `policy_settings`. From this table the command line,
#: the admin API, the variables ROUTER_… and the reference documents are made; a test compares it with the database.
POLICY_SETTINGS: Mapping[str, PolicySetting] = {
    setting.name: setting
    for setting in (
        PolicySetting(
            "granularity", str, "conversation",
            "text that is embedded: the user's messages before the first answer, or with step the latest",
            choices=("conversation", "step"),
        ),
        PolicySetting(
            "alpha", float, 0.1,
            "quality points given up to save what the dearest candidate costs for an average prompt; 0 ignores cost",
            high=100,
        ),
        PolicySetting("k", int, 100, "neighbours consulted", low=1, high=1000),
        PolicySetting(
            "tau", float, 0.2, "kernel width; with inf all neighbours have the same weight", low=1e-4, high=float("inf")
        ),
        PolicySetting("n0", float, 2, "weight of the prior, in neighbours, where there is no fit"),
        PolicySetting(
            "n0_task", float, 20, "weight of the prior if the request names a task or it is guessed, in neighbours"
        ),
        PolicySetting("n1", float, 20, "weight of the tenant's mean in the prior of a task, in labels"),
        PolicySetting("seed_count", int, 100, "memories needed before the memory decides", high=LARGEST),
        PolicySetting("confidence_floor", float, 0, "least share of an estimate that comes from neighbours", high=1),
        PolicySetting(
            "switch_penalty", float, 0,
            "quality points subtracted from models other than the conversation's current one", high=100,
        ),
        PolicySetting(
            "sticky_seconds", int, 86400, "time a conversation stays with its first model, in seconds; 0: none",
            high=LARGEST,
        ),
        PolicySetting(
            "explore_share", float, 0, "share of new requests sent to the candidate with the fewest labels", high=0.2
        ),
        PolicySetting("explore_labels", int, 20, "labels at which a candidate is no longer explored", high=LARGEST),
        PolicySetting(
            "base_weight", float, 100, "weight of the shared base memory, in memories of the tenant's own; 0 ignores it"
        ),
        PolicySetting(
            "n2", float, 20, "weight of the candidates' common mean in one candidate's mean, in labels; 0: plain means"
        ),
        PolicySetting(
            "ease", float, 2,
            "neighbours that it takes to believe that a prompt is easier or harder than the average; inf: never",
            low=1e-4, high=float("inf"),
        ),
        PolicySetting(
            "transfer", float, 0.5, "greatest share of an estimate that the other candidates' labels decide; 0: none",
            high=1,
        ),
        PolicySetting(
            "fit_n0", str, "on", "whether n0 is chosen by leave-one-out from 200 memories on", choices=("on", "off")
        ),
        PolicySetting(
            "guess_task", str, "fit",
            "whether a request without a tag gets its neighbours' task; fit: where leave-one-out finds that it helps",
            choices=("fit", "never", "always"),
        ),
    )
}  # fmt: skip
