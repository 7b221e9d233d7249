"""The OpenAPI document, laid out for a page: what a template can walk through without thinking."""

from dataclasses import dataclass
from typing import Any

from webapp.views.api.problems import MEANINGS

Json = dict[str, Any]


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True)
class Table:
    """A type: its name, what it is, its fields."""

    name: str
    text: str
    fields: list[Field]


@dataclass(frozen=True)
class Answer:
    status: str
    text: str
    type_name: str


@dataclass(frozen=True)
class Entry:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    parameters: list[Field]
    body: str | None
    answers: list[Answer]


@dataclass(frozen=True)
class Group:
    name: str
    text: str
    entries: list[Entry]


@dataclass(frozen=True)
class Reference:
    introduction: str
    scopes: str
    groups: list[Group]
    types: list[Table]
    problems: list[tuple[str, int, str]]
    """Code, status, title."""


def read(document: Json) -> Reference:
    """Lay a document of ours out; it uses no more of OpenAPI than `document` writes."""
    schemas = document["components"]["schemas"]
    tables = [_table(name, schema) for name, schema in schemas.items() if "properties" in schema]
    return Reference(
        introduction=document["info"]["description"],
        scopes=document["components"]["securitySchemes"]["token"]["description"],
        groups=[_group(tag, document) for tag in document["tags"]],
        types=sorted(tables, key=lambda table: table.name),
        problems=[(code.value, status, title) for code, (status, title) in MEANINGS.items()],
    )


def _group(tag: Json, document: Json) -> Group:
    base, schemas = document["servers"][0]["url"], document["components"]["schemas"]
    entries = [
        _entry(f"{base}{path}", method, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if tag["name"] in operation["tags"]
    ]
    return Group(tag["name"], tag["description"], entries)


def _entry(path: str, method: str, operation: Json, schemas: Json) -> Entry:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return Entry(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation["description"],
        parameters=[_parameter(each, schemas) for each in operation["parameters"]],
        body=None if content is None else _name(content["schema"]),
        answers=[_answer(status, said) for status, said in operation["responses"].items()],
    )


def _parameter(parameter: Json, schemas: Json) -> Field:
    where = {"header": " (header)", "path": " (path)"}.get(parameter["in"], "")
    return Field(
        parameter["name"],
        _kind(parameter["schema"], schemas) + where,
        parameter["required"],
        parameter.get("description", ""),
    )


def _answer(status: str, said: Json) -> Answer:
    [content] = said["content"].values()
    return Answer(status, said["description"], _name(content["schema"]))


def _table(name: str, schema: Json) -> Table:
    needed = schema.get("required", [])
    fields = [
        Field(field, _kind(kind, {}), field in needed, kind.get("description", ""))
        for field, kind in schema["properties"].items()
    ]
    return Table(name, schema.get("description", ""), fields)


def _kind(schema: Json, schemas: Json) -> str:
    """A type in words: `integer`, `list of string`, `Customer or null`, `"de" or "en"`."""
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_kind(each, schemas) for each in schema[key])
    if "$ref" in schema:
        return _kind_of_reference(_name(schema), schemas)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return " or ".join(f'"{value}"' for value in values)
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'], schemas)}"
    return str(schema.get("format") or schema.get("type", "any"))


def _kind_of_reference(name: str, schemas: Json) -> str:
    target = schemas.get(name, {})
    return _kind(target, schemas) if "enum" in target else name


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
