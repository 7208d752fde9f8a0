"""Files, uploads in parts and batches, held in memory: `/v1/files`, `/v1/uploads`, `/v1/batches`."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from scripts.fake_provider.forms import Part, form_of
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.spelling import CREATED, odd, openai_error
from scripts.fake_provider.wire import Pieces, Received, reply

#: Maximum number of stored objects of a kind; the oldest are deleted.
MOST = 1000


class Files:
    """The objects that clients stored with one provider."""

    def __init__(self) -> None:
        self._things: dict[str, OrderedDict[str, dict[str, Any]]] = {
            kind: OrderedDict() for kind in ("files", "uploads", "batches")
        }
        self._contents: dict[str, bytes] = {}
        self._numbers = count(1)
        self._name = secrets.token_hex(4)

    def answer(self, received: Received, path: list[str], body: dict[str, Any], plan: Plan) -> Pieces:
        """Answer a request below `/v1/`. Raises `KeyError` for an object that does not exist."""
        match received.method, path:
            case "POST", ["files"]:
                form = form_of(received.named.get("content-type", ""), received.body)
                return _shown(self._store(form["file"], form["purpose"].text), plan)
            case "POST", ["uploads"]:
                return _shown(self._upload(body), plan)
            case "POST", ["uploads", identifier, "parts"]:
                form = form_of(received.named.get("content-type", ""), received.body)
                upload = self._things["uploads"][identifier]["id"]
                part = self._id("part_")
                self._contents[part] = form["data"].content
                return _shown({"id": part, "object": "upload.part", "created_at": CREATED, "upload_id": upload}, plan)
            case "POST", ["uploads", identifier, "complete"]:
                return _shown(self._complete(self._things["uploads"][identifier], body), plan)
            case "POST", ["batches"]:
                self._things["files"][body["input_file_id"]]
                return _shown(self._batch(body), plan)
            case "POST", ["uploads" | "batches" as kind, identifier, "cancel"]:
                thing = self._things[kind][identifier]
                thing["status"] = "cancelled" if kind == "uploads" else "cancelling"
                return _shown(thing, plan)
            case "GET", [kind]:
                return _shown(self._listed(kind, parse_qs(received.query)), plan)
            case "GET", [kind, identifier]:
                return _shown(self._things[kind][identifier], plan)
            case "GET", ["files", identifier, "content"]:
                return reply(200, self._contents[identifier], plan, b"application/octet-stream")
            case "DELETE", ["files", identifier]:
                self._drop("files", identifier)
                return _shown({"id": identifier, "object": "file", "deleted": True}, plan)
        message = f"Invalid URL ({received.method} {received.path})"
        return reply(404, openai_error(404, message, code="unknown_url"), plan)

    def _id(self, prefix: str) -> str:
        return f"{prefix}{self._name}{next(self._numbers):06d}"

    def _keep(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        things = self._things[kind]
        things[thing["id"]] = thing
        if len(things) > MOST:
            self._drop(kind, next(iter(things)))
        return thing

    def _drop(self, kind: str, identifier: str) -> None:
        del self._things[kind][identifier]
        self._contents.pop(identifier, None)

    def _store(self, file: Part, purpose: str) -> dict[str, Any]:
        identifier = self._id("file-")
        self._contents[identifier] = file.content
        made = {"id": identifier, "object": "file", "bytes": len(file.content), "created_at": CREATED}
        more = {"filename": file.filename, "purpose": purpose, "status": "processed", "status_details": None}
        return self._keep("files", {**made, **more, "expires_at": None})

    def _upload(self, body: dict[str, Any]) -> dict[str, Any]:
        given = {key: body[key] for key in ("filename", "purpose", "bytes")}
        made = {"id": self._id("upload_"), "object": "upload", "created_at": CREATED, "expires_at": CREATED + 3600}
        return self._keep("uploads", {**made, **given, "status": "pending", "file": None})

    def _complete(self, upload: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        content = b"".join(self._contents.pop(part) for part in body["part_ids"])
        if len(content) != upload["bytes"]:
            raise ValueError(f"{len(content)} bytes came, not {upload['bytes']}")
        upload |= {"status": "completed", "file": self._store(Part(content, upload["filename"]), upload["purpose"])}
        return upload

    def _batch(self, body: dict[str, Any]) -> dict[str, Any]:
        given = {key: body[key] for key in ("input_file_id", "endpoint", "completion_window")}
        made = {"id": self._id("batch_"), "object": "batch", "created_at": CREATED, "status": "validating"}
        counts = {"total": 0, "completed": 0, "failed": 0}
        return self._keep("batches", {**made, **given, "request_counts": counts, "metadata": body.get("metadata")})

    def _listed(self, kind: str, query: dict[str, list[str]]) -> dict[str, Any]:
        rows = list(reversed(self._things[kind].values()))
        if purpose := query.get("purpose"):
            rows = [row for row in rows if row.get("purpose") == purpose[0]]
        if after := query.get("after"):
            rows = rows[[row["id"] for row in rows].index(after[0]) + 1 :]
        limit = int(query.get("limit", ["10000"])[0])
        shown = rows[:limit]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
        return {"object": "list", "data": shown, "has_more": len(rows) > limit, **ends}


def _shown(thing: dict[str, Any], plan: Plan) -> Pieces:
    return reply(200, odd(thing), plan)
