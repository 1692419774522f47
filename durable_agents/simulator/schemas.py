"""Fills a JSON schema with values that fit it and that the conversation supports.

The structure decides what is valid, the fields' names and descriptions what is said.
"""

from typing import Any, cast

from durable_agents.simulator.bounds import UNKNOWN, number_within, text_within
from durable_agents.simulator.json_values import JsonObject, list_in, object_in, text_in
from durable_agents.simulator.named_values import (
    Field,
    boolean_for,
    list_for,
    number_for,
    option_for,
    siblings_of,
    text_for,
)
from durable_agents.simulator.reading import Reading
from durable_agents.simulator.sentences import key_words
from durable_agents.simulator.text_forms import text_of_format, text_of_pattern

USUAL_ITEMS = 3  # elements of a list whose length the schema leaves open
DEEPEST_OPTIONAL = 5  # below it only what the schema demands is filled, so that recursion ends
DEEPEST_LIST = 4  # from here on lists are as short as they may be
DEEPEST = 40  # references that are followed one after another


def filled(schema: JsonObject, reading: Reading) -> Any:
    """Give a value that is valid under `schema`."""
    return _Filler(schema, reading).value(schema, Field())


class _Filler:
    def __init__(self, root: JsonObject, reading: Reading) -> None:
        self._root = root
        self._reading = reading

    def value(self, schema: JsonObject, field: Field) -> Any:
        schema = self._resolved(schema)
        field = _described(field, schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._option(schema, field)
        if branches := list_in(schema.get("anyOf")) or list_in(schema.get("oneOf")):
            return self._branch([object_in(branch) for branch in branches], field)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            each = [schema | {"type": kind} for kind in cast(list[str], kinds)]
            return self._branch(each, field)
        kind = kinds or (
            "object" if "properties" in schema else "array" if "items" in schema else "string"
        )
        match kind:
            case "object":
                return self._object(schema, field)
            case "array":
                return self._array(schema, field)
            case "number" | "integer":
                return number_within(schema, field, number_for(field, self._reading))
            case "boolean":
                return boolean_for(field, self._reading)
            case "null":
                return None
            case _:
                return self._text(schema, field)

    def _resolved(self, schema: JsonObject) -> JsonObject:
        """Follow references and merge what must hold together."""
        for _ in range(DEEPEST):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = self._referred(text_in(schema["$ref"])) | rest
            elif "allOf" in schema:
                merged = {key: value for key, value in schema.items() if key != "allOf"}
                for part in list_in(schema["allOf"]):
                    merged = _merged(merged, self._resolved(object_in(part)))
                schema = merged
            else:
                break
        return schema

    def _referred(self, reference: str) -> JsonObject:
        target: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                target = object_in(target).get(step.replace("~1", "/").replace("~0", "~"))
        return object_in(target)

    def _option(self, schema: JsonObject, field: Field) -> Any:
        options = list_in(schema["enum"])
        texts = [option for option in options if isinstance(option, str)]
        if len(texts) < len(options) or len(texts) == 1:
            return schema.get("default", options[0])
        return option_for(field, texts, self._reading)

    def _branch(self, branches: list[JsonObject], field: Field) -> Any:
        """Choose a branch: null when the text holds no such fact, else the likeliest kind."""
        solid = [self._resolved(branch) for branch in branches]
        others = [branch for branch in solid if branch.get("type") != "null"]
        nullable = len(others) < len(solid)
        if not others or (nullable and field.depth > DEEPEST_OPTIONAL):
            return None
        if nullable and self._is_absent(others[0], field):
            return None
        ending = ("answer", "final", "finish")
        likeliest = [b for b in others if set(key_words(text_in(b.get("title")))) & set(ending)]
        flat = [b for b in others if b.get("type") not in {"object", "array"}]
        chosen = likeliest or (flat if field.depth > DEEPEST_OPTIONAL else []) or others
        return self.value(chosen[0], field)

    def _is_absent(self, schema: JsonObject, field: Field) -> bool:
        match schema.get("type"):
            case "string" if "enum" not in schema and "const" not in schema:
                return not text_for(field, self._reading)
            case "number" | "integer":
                return number_for(field, self._reading) is None
            case _:
                return False

    def _object(self, schema: JsonObject, field: Field) -> JsonObject:
        required = set(list_in(schema.get("required")))
        siblings = siblings_of(schema)
        filled_in: JsonObject = {}
        for name, sub in object_in(schema.get("properties")).items():
            if name not in required and field.depth > DEEPEST_OPTIONAL:
                continue
            place = Field(name, "", siblings, field.item, field.depth + 1)
            filled_in[name] = self.value(object_in(sub), place)
        missing = int(schema.get("minProperties", 0)) - len(filled_in)
        for number in range(missing):
            names = self._reading.phrases(missing)
            name = names[number].replace(" ", "_") if number < len(names) else f"entry_{number + 1}"
            further = object_in(schema.get("additionalProperties"))
            filled_in[name] = self.value(further, Field(name, "", (), "", field.depth + 1))
        return filled_in

    def _array(self, schema: JsonObject, field: Field) -> list[Any]:
        fixed = [object_in(item) for item in list_in(schema.get("prefixItems"))]
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 1000))
        aim = min(max(least, USUAL_ITEMS if field.depth < DEEPEST_LIST else 0), most)
        elements = [
            self.value(item, Field(field.name, "", (), "", field.depth + 1))
            for item in fixed[:most]
        ]
        items = self._resolved(object_in(schema.get("items")))
        if "items" not in schema or schema["items"] is False or len(elements) >= aim:
            return elements
        options = list_in(items.get("enum"))
        if options:
            named = [
                o for o in options if set(key_words(str(o))) & set(key_words(self._reading.people))
            ]
            return (elements + list(dict.fromkeys([*named, *options])))[
                : max(least, len(named[:aim]))
            ]
        texts = list_for(field, aim, self._reading) if field.depth < DEEPEST_LIST else []
        while len(texts) < least:
            texts.append(f"{self._reading.question or UNKNOWN} ({len(texts) + 1})")
        for text in texts[: aim - len(elements)]:
            element = self._element(items, field, text, len(elements))
            if not schema.get("uniqueItems") or element not in elements:
                elements.append(element)
        return self._distinct(elements, items, least)

    def _element(self, items: JsonObject, field: Field, text: str, position: int) -> Any:
        if (
            items.get("type", "string") == "string"
            and "anyOf" not in items
            and "const" not in items
        ):
            return text_within(items, text)
        place = Field(field.name, "", (), text, field.depth + 1)
        value = self.value(items, place)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return number_within(items, place, float(value) + position) if is_number else value

    @staticmethod
    def _distinct(elements: list[Any], items: JsonObject, least: int) -> list[Any]:
        """Make up for elements that fell away because they were equal."""
        number = 0
        while len(elements) < least and number < 1000:
            number += 1
            kind = items.get("type", "string")
            further: Any = f"{number}" if kind == "string" else number
            if kind in {"string", "integer", "number"} and further not in elements:
                elements.append(further)
        return elements

    def _text(self, schema: JsonObject, field: Field) -> str:
        said = text_for(field, self._reading)
        if said is None:
            said = text_in(schema.get("default")) or UNKNOWN
        if "format" in schema:
            return text_of_format(text_in(schema["format"]), self._reading.everything) or said
        if "pattern" in schema:
            return text_of_pattern(
                text_in(schema["pattern"]), f"{said}\n{self._reading.everything}"
            )
        return text_within(schema, said)


def _described(field: Field, schema: JsonObject) -> Field:
    description = text_in(schema.get("description")) or field.description
    return Field(field.name, description, field.siblings, field.item, field.depth)


def _merged(one: JsonObject, other: JsonObject) -> JsonObject:
    merged = one | other
    properties = object_in(one.get("properties")) | object_in(other.get("properties"))
    if properties:
        merged["properties"] = properties
    required = [*list_in(one.get("required")), *list_in(other.get("required"))]
    if required:
        merged["required"] = list(dict.fromkeys(required))
    return merged
