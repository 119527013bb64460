"""Validates objects of Kubernetes, a JSON list on stdin, and prints what is wrong, by lines.

What is core is held against the schemas of the three newest versions, strictly; what is not,
against the definitions in crds/. An object of neither is wrong.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate

VERSIONS = ["1.35", "1.36", "1.37"]
CRDS = pathlib.Path(__file__).parent / "crds"


def strict(schema):
    """The schema as the API server prunes: a field that it does not know is wrong."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and "type" in schema and not free:
        result.setdefault("additionalProperties", False)
    return result


def custom(item):
    group, version = item["apiVersion"].split("/")
    path = CRDS / f"{group}_{item['kind'].lower()}_{version}.json"
    if not path.exists():
        return None
    schema = json.loads(path.read_text())
    for key in ("apiVersion", "kind"):
        schema["properties"][key] = {"type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft7Validator(strict(schema))


def problems(item):
    definition = custom(item) if "/" in item["apiVersion"] else None
    if definition:
        for error in definition.iter_errors(item):
            yield f"/{'/'.join(map(str, error.path))}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version} /{'/'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{version}: nobody knows it"


for item in json.load(sys.stdin):
    name = item.get("metadata", {}).get("name")
    for problem in problems(item):
        print(f"{item['apiVersion']} {item['kind']} {name}: {problem}")
