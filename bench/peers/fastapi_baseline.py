"""A naive implementation of the API's lists as a baseline: FastAPI, PyMongo, skip and limit.

Run by uvicorn with `MONGO_URI` and `MONGO_DATABASE` in its environment. Fair where it can be: its sort has an
index, it projects the fields that it returns, and the server counts its tags.
"""

import base64
import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pymongo import MongoClient

client: MongoClient[dict[str, Any]] = MongoClient(os.environ["MONGO_URI"])
database = client[os.environ["MONGO_DATABASE"]]
app = FastAPI()


class Image(BaseModel):
    """An image in a list."""

    id: str
    path: str
    width: int
    height: int
    placeholder: str
    thumb: str
    original: str


class Tag(BaseModel):
    """A tag and its count."""

    name: str
    count: int


@app.get("/images")
def images(skip: int = 0, limit: int = 60) -> list[Image]:
    """The newest images."""
    fields = {"path": 1, "width": 1, "height": 1, "placeholder": 1, "content": 1}
    documents = database.images.find({"state": "ready"}, fields).sort("_id", -1).skip(skip).limit(limit)
    return [
        Image(
            id=str(doc["_id"]),
            path=doc["path"],
            width=doc["width"],
            height=doc["height"],
            placeholder=base64.b64encode(doc["placeholder"]).decode(),
            thumb=f"/media/{doc['content']}/512.webp",
            original=f"/media/{doc['content']}/original",
        )
        for doc in documents
    ]


@app.get("/tags")
def tags() -> list[Tag]:
    """All tags, most used first, counted per request."""
    counts = database.images.aggregate(
        [
            {"$unwind": "$tags"},
            {"$group": {"_id": "$tags", "count": {"$sum": 1}}},
            {"$sort": {"count": -1}},
        ]
    )
    return [Tag(name=doc["_id"], count=doc["count"]) for doc in counts]
