"""What a format of examples is: how it is recognised, and how its records become examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...errors import BadRequest
from .records import Sample
from .scales import Scale, number_of, plain_score

#: An example as `ExampleIn` takes it, or why the record has no label.
Result = dict[str, Any] | str
Reader = Callable[[dict[str, Any]], Result]


class Names(Protocol):
    """The names of the deployment's models."""

    def find(self, name: str) -> str | None:
        """Return our name of the model that a file calls `name`, or None."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator says about a file."""

    #: Name of the format; None: recognise it.
    format: str | None = None
    #: Encoding; None: recognise it.
    encoding: str | None = None
    #: Scale of the scores; None: 0 to 1.
    scale: Scale | None = None
    #: Name of the scores to take, if the file has several.
    score: str | None = None
    #: Names of models in the file, by whose names here they are replaced.
    names: Names | None = None
    #: Leave out the labels of models whose names are unknown.
    skip_unknown: bool = False
    #: Prompt and model by the id of a trace or run, of a second file.
    traces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def label(self, value: Any, where: str, sample: Sample, *, booleans: bool = False) -> float | None:
        """Return a score from 0 to 1, None: there is none. Raises `BadRequest` naming the field `where`."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            if self.scale is None:
                return plain_score(value, decimal_comma=sample.decimal_comma, booleans=booleans)
            if not self.scale.words and isinstance(value, str) and sample.decimal_comma:
                value = number_of(value.replace("%", ""), decimal_comma=True)
            return self.scale.score(value)
        except ValueError as error:
            raise BadRequest(f"{where}: {error}.", param=where) from None

    def model(self, *names: str) -> str:
        """Return our name of the model that has one of these names in the file; else the last of them."""
        if self.names is not None:
            for name in names:
                found = self.names.find(name)
                if found is not None:
                    return found
        return names[-1]


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which people have labels."""

    #: Name for `--format`.
    name: str
    #: What it is recognised by, for people.
    shape: str
    #: How labels are made of its records, for people.
    labels: str
    #: Whether a file with these fields is of this format.
    matches: Callable[[Sample], bool]
    #: Returns the function that converts a record of a file with these fields. Raises `BadRequest`.
    reader: Callable[[Sample, Options], Reader]
    #: Whether the labels of a prompt are spread over records: they are put together, and averaged for each model.
    merged: bool = True


def named(value: Any) -> str:
    """Return a name, stripped; empty if there is none."""
    return value.strip() if isinstance(value, str) else ""


def task_of(value: Any) -> dict[str, str]:
    """Return the member `task` of an example, if `value` is a name, or a list of one that a data frame wrote."""
    task = named(value)
    if task.startswith("[") and task.endswith("]") and "," not in task:
        task = task.strip("[]'\" ")
    return {"task": task} if task else {}
