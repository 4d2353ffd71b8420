"""JSON Schemas in the strict form that providers enforce: every property required, nothing else allowed.

Source: the "Structured outputs" guide of the API (supported schemas). Values in, values out.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, json

Schema = dict[str, Any]

# Keywords that strict schemas refuse. What they would have checked is checked again where the reply is parsed.
_REFUSED = frozenset(
    {"default", "examples", "title", "minLength", "maxLength", "not", "if", "then", "else"}
    | {"dependentRequired", "dependentSchemas"}
)


def schema_of(kind: type[Struct]) -> Schema:
    """The strict schema of objects that are read as `kind`."""
    _, parts = json.schema_components([kind], ref_template="#/$defs/{name}")
    whole = parts.pop(kind.__name__)
    return strict_schema({**whole, "$defs": parts} if parts else whole)


def strict_schema(schema: Mapping[str, Any]) -> Schema:
    """`schema` made strict: objects closed, all properties required, those that were optional may be null."""
    strict: Schema = _strict(dict(schema))
    return strict


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    if len(node.get("allOf", ())) == 1:  # a reference with a description beside it
        node = {**node["allOf"][0], **{key: value for key, value in node.items() if key != "allOf"}}
    if "oneOf" in node:
        node = {
            **{key: value for key, value in node.items() if key not in ("oneOf", "discriminator")},
            "anyOf": node["oneOf"],
        }
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    strict = {key: value for key, value in node.items() if key not in _REFUSED}
    for key in ("items", "anyOf", "prefixItems"):
        if key in strict:
            strict[key] = _strict(strict[key])
    if "$defs" in strict:
        strict["$defs"] = {name: _strict(each) for name, each in strict["$defs"].items()}
    if strict.get("type") == "object" or "properties" in strict:
        properties = strict.get("properties", {})
        asked = set(strict.get("required", ()))
        strict["properties"] = {
            name: _strict(each) if name in asked else _nullable(_strict(each)) for name, each in properties.items()
        }
        strict["required"] = list(properties)
        strict["additionalProperties"] = False
    return strict


def _nullable(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, list):
        return schema if "null" in kind else {**schema, "type": [*kind, "null"]}
    if isinstance(kind, str) and "enum" not in schema and "const" not in schema:
        return schema if kind == "null" else {**schema, "type": [kind, "null"]}
    options = schema.get("anyOf", [schema])
    if any(option.get("type") == "null" for option in options if isinstance(option, dict)):
        return schema
    return {"anyOf": [*options, {"type": "null"}]}
