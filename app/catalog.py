"""The models and providers of a deployment, by name and number."""

from __future__ import annotations

from collections.abc import Iterable

from .entities import Model, Provider
from .errors import BadRequest, NotFound


class Catalog:
    """An immutable snapshot of all models and providers."""

    def __init__(self, models: Iterable[Model], providers: Iterable[Provider] = ()) -> None:
        self.models = tuple(models)
        self.providers = {provider.name: provider for provider in providers}
        self.by_id = {model.model_id: model for model in self.models}
        self._by_name: dict[str, Model] = {}
        for model in self.models:
            # Other gateways name models `provider/name`. A model whose own name is the same takes precedence.
            self._by_name.setdefault(f"{model.provider.name}/{model.name}", model)
        self._by_name.update((model.name, model) for model in self.models)

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
