"""The questions that a projection answers by name: the methods of its projector that read."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from procession.daemon.http.problems import FieldFault
from procession.primitives.converters import FieldsUnfit, read_strictly
from procession.primitives.json_types import annotated
from procession.primitives.projector import Projector
from procession.projections.view import Reading

_REQUIRED = inspect.Parameter.empty


@attrs.frozen
class NamedQuery:
    """One method `(self, reading, *parameters)` of a projector."""

    name: str
    about: str
    method: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]
    """Those after `reading`, with their annotations resolved."""
    answers: Any
    """The annotation of what it returns."""

    def filled(self, given: Mapping[str, Any]) -> tuple[Sequence[object], tuple[FieldFault, ...]]:
        """The parameters in their order, and what is wrong with those that were given."""
        faults = [FieldFault(f"$.parameters.{name}", "is none of it") for name in given if name not in self.parameters]
        values: list[object] = []
        for name, parameter in self.parameters.items():
            if name not in given and parameter.default is _REQUIRED:
                faults.append(FieldFault(f"$.parameters.{name}", "is missing"))
            elif name not in given:
                values.append(parameter.default)
            else:
                try:
                    values.append(read_strictly(parameter.annotation, given[name]))
                except FieldsUnfit as unfit:
                    at = f"$.parameters.{name}"
                    faults += [FieldFault(path.replace("$", at, 1), found) for path, found in unfit.faults]
        return values, tuple(faults)


@attrs.frozen
class ParameterShown:
    """One parameter of a query."""

    name: str
    type: str
    required: bool


@attrs.frozen
class QueryShown:
    """A question that a projection answers by name."""

    name: str
    about: str
    parameters: tuple[ParameterShown, ...]


def named_queries(projector: type[Projector]) -> dict[str, NamedQuery]:
    """The queries of a projector, by name: its public methods whose first parameter is a `Reading`."""
    found = {}
    for name, method in inspect.getmembers(projector, inspect.isfunction):
        query = None if name.startswith("_") else _query_of(name, method)
        if query is not None:
            found[name] = query
    return found


def shown_query(query: NamedQuery) -> QueryShown:
    """A query for those who may ask it."""
    return QueryShown(
        query.name,
        query.about,
        tuple(
            ParameterShown(name, annotated(parameter.annotation), parameter.default is _REQUIRED)
            for name, parameter in query.parameters.items()
        ),
    )


def _query_of(name: str, method: Callable[..., Any]) -> NamedQuery | None:
    try:
        hints = typing.get_type_hints(method)
    except NameError:  # an annotation that only its author can resolve: asked in code, not by name
        return None
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if not parameters or hints.get(parameters[0].name) is not Reading:
        return None
    rest = {one.name: one.replace(annotation=hints.get(one.name, Any)) for one in parameters[1:]}
    if any(one.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for one in rest.values()):
        return None
    return NamedQuery(name, _about(method), method, rest, hints.get("return", Any))


def _about(method: Callable[..., Any]) -> str:
    return " ".join(inspect.cleandoc(method.__doc__ or "").split("\n\n")[0].split())
