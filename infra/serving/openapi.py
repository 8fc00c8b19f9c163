"""The description of the server as OpenAPI 3.1, made from the model's schema.json; it names no other server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.serving.media import ANSWERS, FORMS
from infra.serving.settings import Limits

Json = dict[str, Any]
_TYPES: Mapping[str, Json] = {
    "integer": {"type": ["integer", "string", "null"]},
    "float": {"type": ["number", "string", "null"]},
    "boolean": {"type": ["boolean", "string", "null"]},
    "date": {"type": ["string", "null"], "examples": ["2026-01-31"]},
    "datetime": {"type": ["string", "null"], "examples": ["2026-01-31T12:00:00Z"]},
    "category": {"type": ["string", "number", "boolean", "null"]},
}
"""What a value may be; numbers may be text, which is read as training wrote them."""
_MOST_WORDS = 20
_ERRORS = {
    "400": "The body is not of its form, or values cannot be read; bad_rows names them.",
    "406": "Accept allows no form of answers.",
    "408": "The body did not arrive in time.",
    "413": "Too many bytes or rows.",
    "415": "The content type is not read here.",
    "503": "Too many requests at once; send it again after Retry-After seconds.",
}


def document(schema: Mapping[str, Any], digest: str, limits: Limits) -> Json:
    """Return the description of a server of the model with this schema.json."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{schema['task']} of {schema['target']}",
            "version": digest,
            "description": f"A request may have {limits.rows:,} rows and {limits.body_bytes:,} bytes.",
        },
        "paths": {
            "/ping": {"get": {"operationId": "ping", "responses": {"200": {"description": "The model is loaded."}}}},
            "/invocations": {"post": _invocations()},
            "/execution-parameters": {
                "get": {"operationId": "parameters", "responses": {"200": {"description": "How much batch transform may send."}}}
            },
            "/metrics": {"get": {"operationId": "metrics", "responses": {"200": {"description": "Counters for Prometheus."}}}},
            "/openapi.json": {"get": {"operationId": "openapi", "responses": {"200": {"description": "This document."}}}},
        },
        "components": {
            "schemas": {
                "Row": _row(schema),
                "Rows": {"type": "array", "minItems": 1, "maxItems": limits.rows, "items": {"$ref": "#/components/schemas/Row"}},
                "Answer": _answer(schema),
                "Refusal": _refusal(),
            }
        },
    }  # fmt: skip


def _invocations() -> Json:
    rows = {"$ref": "#/components/schemas/Rows"}
    parameters = {"params": {"type": "object", "properties": {"intervals": {"type": ["number", "string", "null"]}}}}
    lists = {
        "columns": {"type": "array", "items": {"type": "string"}},
        "data": {"type": "array", "items": {"type": "array"}},
    }
    split = {"type": "object", "required": list(lists), "properties": lists}
    wrapped = [
        {"type": "object", "required": [key], "properties": {key: value, **parameters}}
        for key, value in (("dataframe_records", rows), ("instances", rows), ("dataframe_split", split))
    ]
    bodies: Json = {name: {"schema": {"type": "string"}} for name in FORMS}
    bodies["application/json"] = {"schema": {"anyOf": [rows, {"$ref": "#/components/schemas/Row"}, split, *wrapped]}}
    answers: Json = {name: {"schema": {"type": "string"}} for name in ANSWERS}
    answers["application/json"] = {
        "schema": {
            "type": "object",
            "required": ["predictions"],
            "properties": {
                "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
                "unlike_training": {"type": "array", "items": {"type": "string"}},
            },
        }
    }
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {
        "operationId": "invoke",
        "summary": "Answer rows.",
        "parameters": [{"name": "intervals", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 1}}],
        "requestBody": {"required": True, "content": bodies},
        "responses": {
            "200": {"description": "An answer for each row, in their order.", "content": answers},
            **{status: {"description": meaning, "content": refusal} for status, meaning in _ERRORS.items()},
        },
    }


def _row(schema: Mapping[str, Any]) -> Json:
    """Return the schema of a row; values beyond what training had are answered, so its range is only described."""
    properties = {
        entry["name"]: {**_TYPES[entry["type"]], "description": _described(entry)} for entry in schema["inputs"]
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _described(entry: Mapping[str, Any]) -> str:
    """Say what training had in a column."""
    if entry["kind"] == "category":
        words = entry["vocabulary"]
        return "Training had: " + ", ".join(words[:_MOST_WORDS]) + (" ..." if len(words) > _MOST_WORDS else "")
    span = entry.get("range")
    return f"Training had {entry['type']} values" + (f" from {span[0]} to {span[1]}." if span else ".")


def _answer(schema: Mapping[str, Any]) -> Json:
    if not schema["classes"]:
        names = ("prediction", "prediction_low", "prediction_high")
        return {
            "type": "object",
            "required": names[:1],
            "properties": {name: {"type": ["number", "null"]} for name in names},
        }
    chances = {f"probability_{name}": {"type": "number", "minimum": 0, "maximum": 1} for name in schema["classes"]}
    properties = {"prediction": {"enum": list(schema["classes"])}, **chances}
    return {"type": "object", "required": list(properties), "properties": properties}


def _refusal() -> Json:
    row = {
        "type": "object",
        "properties": {"row": {"type": "integer"}, "columns": {"type": "array", "items": {"type": "string"}}},
    }
    texts = {name: {"type": "string"} for name in ("error_code", "message", "request_id")}
    return {
        "type": "object",
        "required": list(texts),
        "properties": {**texts, "bad_rows": {"type": "array", "items": row}},
    }
