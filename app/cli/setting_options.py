"""Options for the settings of a policy, made from their table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Annotated, Any, Literal

import typer

from ..errors import ConfigurationError
from ..operations.policy_defaults import setting_value
from ..policy_settings import POLICY_SETTINGS, PolicySetting

#: Parses the text of a setting, by the setting's name.
Parse = Callable[[str, str], str | int | float]
#: The default of an option, as its help names it.
Default = Callable[[PolicySetting], str]


def of_new_policies(setting: PolicySetting) -> str:
    """The default where a policy may be new."""
    return f"Default for a new policy: {setting.variable}, else {_plain(setting.default)}."


def of_the_policy(setting: PolicySetting) -> str:
    """The default where a policy exists."""
    return "Default: the policy's."


def option_value(name: str, text: str) -> str | int | float:
    """Parse a policy's setting given as an option. Raises `ConfigurationError` naming the option: exit code 1."""
    return setting_value(name, text, POLICY_SETTINGS[name].option)


def checked_option(name: str, text: str) -> str | int | float:
    """Parse a policy's setting given as an option. Raises `typer.BadParameter` naming the option: exit code 2."""
    try:
        return option_value(name, text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def with_settings(
    names: Iterable[str] = POLICY_SETTINGS, default: Default = of_new_policies, parse: Parse = checked_option
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting of `names`, in the place of its parameter `settings`.

    The command is called with those that were given, by name, each as `parse` returns it.
    """
    wanted = [POLICY_SETTINGS[name] for name in names]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            texts = {setting.name: arguments.pop(setting.name) for setting in wanted}
            settings = {name: parse(name, text) for name, text in texts.items() if text is not None}
            command(**arguments, settings=settings)

        before = inspect.signature(command, eval_str=True).parameters.values()
        after: list[inspect.Parameter] = []
        for parameter in before:
            if parameter.name == "settings":
                after += [_parameter(setting, default) for setting in wanted]
            else:
                after.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        run.__signature__ = inspect.Signature(after)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in after}
        return run

    return decorate


def setting_help(setting: PolicySetting, default: Default) -> str:
    """The help of a setting's option: a noun phrase, the range and the default."""
    text = setting.help[:1].upper() + setting.help[1:]
    return f"{text}{'' if setting.choices else f' ({setting.brief_range})'}. {default(setting)}"


def _parameter(setting: PolicySetting, default: Default) -> inspect.Parameter:
    shown = setting_help(setting, default)
    annotation: Any
    if setting.choices:
        annotation = Annotated[Literal[setting.choices] | None, typer.Option(setting.option, help=shown)]
    else:
        # Read as text: the ranges are those of the environment variables, and are checked by the same code.
        annotation = Annotated[str | None, typer.Option(setting.option, metavar="NUMBER", help=shown)]
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"
