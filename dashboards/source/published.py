"""Checks the committed dashboards against the types Grafana publishes, field by field.

Grafana's Python types read a dashboard but let pass what they do not know. This walk does not: a panel type, a field, an
enum's value, a type, a unit or a transformation that the types do not have is an error, and so is one they call deprecated.

Usage: published.py DASHBOARD.json…
"""

import ast
import enum
import inspect
import json
import sys
import textwrap
import types
import typing
import warnings
from functools import cache
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # The classic model is deliberate; README.md beside says why.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.cog.runtime import Runtime, panelcfg_config
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models import dashboard, units

# What an export carries and the types leave out.
EXPORTED = {"__inputs", "__requires"}
# Transformations have no published types; their names are Grafana 13.2's, from DataTransformerID of @grafana/data.
TRANSFORMATIONS = {"calculateField", "convertFieldType", "filterByValue", "filterFieldsByName", "joinByField", "merge", "organize", "sortBy"}
# Fields that these types still have and the TypeScript types of Grafana 13.2 dropped, call deprecated, or know elsewhere only.
OUTDATED = {
    ("common.VizLegendOptions", "asTable"),
    ("table.Options", "footer"),
    ("statetimeline.FieldConfig", "spanNulls"),
    ("dashboard.VariableModel", "auto"),
    ("dashboard.VariableModel", "auto_min"),
    ("dashboard.VariableModel", "auto_count"),
    ("dashboard.VariableModel", "definition"),
}
UNITS = {value for value in vars(units).values() if isinstance(value, str)}

Errors = list[str]


@cache
def keys(cls: type) -> dict[str, str]:
    """The attribute of each JSON key, read from the code that writes it."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls.__dict__["to_json"])))):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            pairs = [(node.targets[0].slice, node.value)]
        for key, value in pairs:
            if isinstance(key, ast.Constant) and isinstance(value, ast.Attribute):
                found[str(key.value)] = value.attr
    return found


@cache
def hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, vars(sys.modules[cls.__module__]))


@cache
def deprecated(cls: type) -> set[str]:
    """Attributes whose comment says that they are deprecated."""
    found, comment = set(), ""
    for line in inspect.getsource(cls).splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment += text.lower()
        else:
            name = text.partition(":")[0]
            if "deprecated" in comment and name.isidentifier():
                found.add(name)
            comment = ""
    return found


def resolved(hint: Any, module: str) -> Any:
    """A type behind a name in quotes."""
    return typing.get_type_hints(types.SimpleNamespace(__annotations__={"it": hint}), vars(sys.modules[module]))["it"] if isinstance(hint, (str, typing.ForwardRef)) else hint


def walk(value: Any, hint: Any, at: str, module: str) -> Errors:
    """What is wrong with a value, given the type it should have."""
    hint = resolved(hint, module)
    origin = typing.get_origin(hint)
    if hint is Any or hint is object:
        return []
    if origin in (typing.Union, types.UnionType):
        tried = [walk(value, option, at, module) for option in typing.get_args(hint)]
        return [] if [] in tried else nearest(tried)
    if origin is typing.Literal:
        return [] if value in typing.get_args(hint) else [f"{at}: {value!r} is none of {typing.get_args(hint)}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [error for index, item in enumerate(value) for error in walk(item, typing.get_args(hint)[0], f"{at}[{index}]", module)]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{at}: {value!r} is no object"]
        return [error for key, item in value.items() for error in walk(item, typing.get_args(hint)[1], f"{at}.{key}", module)]
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return [] if value in [member.value for member in hint] and not isinstance(value, bool) else [f"{at}: {value!r} is no {hint.__name__}"]
    if hint is Dataquery:
        return walk_query(value, at)
    if inspect.isclass(hint) and "from_json" in hint.__dict__:
        return walk_object(value, hint, at)
    return scalar(value, hint, at)


def nearest(tried: list[Errors]) -> Errors:
    """Of a union that does not fit, the errors of the option whose first error lies deepest: the one that was meant."""
    return max(tried, key=lambda errors: len(errors[0].partition(": ")[0]))


def scalar(value: Any, hint: Any, at: str) -> Errors:
    if hint is type(None):
        return [] if value is None else [f"{at}: {value!r} is not null"]
    if hint is float:
        hint = (int, float)
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    return [] if fits else [f"{at}: {value!r} is no {getattr(hint, '__name__', 'number')}"]


def walk_object(value: Any, cls: type, at: str) -> Errors:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no object"]
    if cls is dashboard.Panel:
        return walk_panel(value, at)
    return fields(value, cls, at)


def fields(value: dict[str, Any], cls: type, at: str, elsewhere: frozenset[str] = frozenset()) -> Errors:
    """Every key of an object, but those that are checked elsewhere."""
    errors: Errors = []
    for key, item in value.items():
        name = keys(cls).get(key)
        if key in elsewhere:
            continue
        if name is None:
            errors.append(f"{at}: unknown field {key!r}; {cls.__name__} has none of that name")
        elif name in deprecated(cls) or (f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}", key) in OUTDATED:
            errors.append(f"{at}.{key}: deprecated in {cls.__name__}")
        elif name not in inspect.signature(cls).parameters and item != (fixed := getattr(cls(), name)):
            errors.append(f"{at}.{key}: {item!r} is not {str(fixed)!r}, its only value in {cls.__name__}")
        else:
            errors += walk(item, hints(cls)[name], f"{at}.{key}", cls.__module__)
            if cls is dashboard.FieldConfig and key == "unit" and item not in UNITS and not str(item).startswith("suffix:"):
                errors.append(f"{at}.unit: {item!r} is no unit")
            if cls is dashboard.DataTransformerConfig and key == "id" and item not in TRANSFORMATIONS:
                errors.append(f"{at}.id: {item!r} is no transformation in use here")
    return errors


def walk_panel(panel: dict[str, Any], at: str) -> Errors:
    """A panel, its options and its field options by the panel's own types."""
    kind = panel.get("type")
    config = panelcfg_config(str(kind))
    at = f"{at} {panel.get('title')!r}"
    if config is None:
        return [f"{at}: unknown panel type {kind!r}"]
    errors = fields(panel, dashboard.Panel, at, frozenset({"options"}))
    if config.options_from_json_hook is not None:
        errors += walk(panel.get("options", {}), owner(config.options_from_json_hook), f"{at}.options", "builtins")
    of_field = owner(config.field_config_from_json_hook) if config.field_config_from_json_hook else None
    source = panel.get("fieldConfig", {})
    custom = source.get("defaults", {}).get("custom")
    if custom is not None:
        errors += walk(custom, of_field, f"{at}.custom", "builtins") if of_field else [f"{at}: {kind} has no field options"]
    for index, override in enumerate(source.get("overrides", [])):
        for item in override.get("properties", []):
            errors += walk_property(item, of_field, f"{at}.overrides[{index}]")
    return errors


def owner(hook: Any) -> type:
    """The class whose method reads the options."""
    return typing.cast(type, hook.__self__)


def walk_property(item: dict[str, Any], of_field: type | None, at: str) -> Errors:
    """One property of an override: a standard one, or a field option of the panel's own."""
    first, *rest = str(item.get("id")).split(".")
    if first == "custom" and rest and of_field is not None:
        return fields({rest[0]: item.get("value")}, of_field, at)
    return fields({first: item.get("value")}, dashboard.FieldConfig, at) if not rest else [f"{at}: unknown property {item.get('id')!r}"]


def walk_query(query: Any, at: str) -> Errors:
    """A query, by the types of its data source."""
    kind = query.get("datasource", {}).get("type") if isinstance(query, dict) else None
    config = Runtime().dataquery_variants.get(str(kind))
    return fields(query, owner(config.from_json_hook), at) if config else [f"{at}: unknown data source {kind!r}"]


def check(board: dict[str, Any], name: str) -> Errors:
    """Everything wrong with one dashboard."""
    return fields(board, dashboard.Dashboard, name, frozenset(EXPORTED))


def main() -> int:
    register_default_plugins()
    errors = [error for file in sys.argv[1:] for error in check(json.loads(Path(file).read_text()), Path(file).name)]
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(sys.argv) - 1} dashboards, {len(errors)} fields that Grafana's types do not know")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
