"""The goal of a calibration: a share of quality to keep, or a certified bound on worse requests."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BadRequest

#: The confidence of a calibration that names none.
CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class Goal:
    """Exactly one of `target` and `at_most` is set."""

    #: Share of the default model's quality to keep.
    target: float | None
    #: Greatest share of requests served worse than the default model serves them.
    at_most: float | None
    #: Quality by which a request must be lower than the default model's to count as worse; 0: any difference.
    margin: float
    #: Probability with which the goal is kept.
    confidence: float

    @classmethod
    def of(
        cls,
        target: float | None,
        at_most: float | None,
        *,
        confidence: float | None,
        delta: float | None,
        by: float | None,
    ) -> Goal:
        """Return the goal of the fields of a request. Raises `BadRequest` naming the field that is too many or missing.

        `delta` is 1 - `confidence`; it and `by` belong to `at_most`.
        """
        if target is None and at_most is None:
            raise BadRequest("Give a target, or at_most for a certificate.", param="target")
        if target is not None and at_most is not None:
            raise BadRequest("Give either target or at_most, not both.", param="at_most")
        for name, value in (("delta", delta), ("by", by)):
            if value is not None and at_most is None:
                raise BadRequest(f"{name} belongs to at_most, not to a target.", param=name)
        if delta is not None:
            if confidence is not None:
                raise BadRequest("Give either delta or confidence, which is 1 - delta.", param="delta")
            confidence = round(1 - delta, 12)
        return cls(target, at_most, by or 0.0, CONFIDENCE if confidence is None else confidence)
