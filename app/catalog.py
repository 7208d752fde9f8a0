"""The models and providers of the deployment by name and number, with one spelling for each."""

from __future__ import annotations

from collections.abc import Iterable

from app.entities import Model, Provider
from app.errors import BadRequest, NotFound


class Catalog:
    """Models as they stood at one moment; immutable."""

    def __init__(self, models: Iterable[Model], providers: Iterable[Provider] = ()) -> None:
        self.models = tuple(models)
        self.providers = {provider.name: provider for provider in providers}
        self.by_id = {model.model_id: model for model in self.models}
        self._by_name: dict[str, Model] = {}
        for model in self.models:
            # Other gateways call a model by its provider too; the plain name wins where the two collide.
            self._by_name.setdefault(f"{model.provider.name}/{model.name}", model)
        self._by_name.update((model.name, model) for model in self.models)

    def find(self, name: str) -> Model | None:
        """The model that a request calls `name` or `provider/name`."""
        return self._by_name.get(name)

    def get(self, name: str) -> Model:
        """The same for a chat request: `NotFound` with OpenAI's code when there is no such model."""
        model = self._by_name.get(name)
        if model is None:
            raise NotFound(
                f"The model {name!r} does not exist here; GET /v1/models lists those that do.",
                param="model",
                code="model_not_found",
            )
        return model

    def resolve(self, name: str, param: str) -> Model:
        """The same for a label: `BadRequest` naming the field `param`."""
        model = self._by_name.get(name)
        if model is None:
            raise BadRequest(f"{name!r} is no model of this deployment; GET /v1/models lists them.", param=param)
        return model
