"""The models and providers of a deployment, by name and number."""

from __future__ import annotations

from collections.abc import Iterable

from .entities import Model, Provider
from .errors import BadRequest, NotFound


class Catalog:
    """An immutable snapshot of all models and providers. Disabled models can be labelled, and nothing else."""

    def __init__(self, models: Iterable[Model], providers: Iterable[Provider] = ()) -> None:
        everything = tuple(models)
        self.models = tuple(model for model in everything if model.enabled)
        self.providers = {provider.name: provider for provider in providers}
        self.by_id = {model.model_id: model for model in self.models}
        self._by_name = _by_name(self.models)
        self._labelled = {name: model.model_id for name, model in _by_name(everything).items()}

    def find(self, name: str) -> Model | None:
        """Return the model `name` or `provider/name`, or None."""
        return self._by_name.get(name)

    def get(self, name: str) -> Model:
        """Return the model of an inference request. Raises `NotFound` with OpenAI's code if there is none."""
        model = self._by_name.get(name)
        if model is None:
            raise NotFound(
                f"The model {name!r} does not exist; GET /v1/models lists the models of this deployment.",
                param="model",
                code="model_not_found",
            )
        return model

    def resolve(self, name: str, param: str) -> Model:
        """Return the model that the field `param` of a request names. Raises `BadRequest` if there is none."""
        model = self._by_name.get(name)
        if model is None:
            raise BadRequest(f"{name!r} is not a model of this deployment; GET /v1/models lists them.", param=param)
        return model

    def label(self, name: str, param: str) -> int:
        """Return the number of the model, enabled or not, that a label names. Raises `BadRequest` if there is none."""
        model_id = self._labelled.get(name)
        if model_id is None:
            raise BadRequest(
                f"{name!r} is not a model of this deployment; GET /v1/models lists them, and `pgrouter model list` "
                "the disabled ones too.",
                param=param,
            )
        return model_id

    def can_label(self, name: str) -> bool:
        """Whether a label may name this model."""
        return name in self._labelled


def _by_name(models: tuple[Model, ...]) -> dict[str, Model]:
    """Return models by name, and by `provider/name` as other gateways name them, unless that is a model's own name."""
    found: dict[str, Model] = {}
    for model in models:
        found.setdefault(f"{model.provider.name}/{model.name}", model)
    found.update((model.name, model) for model in models)
    return found
