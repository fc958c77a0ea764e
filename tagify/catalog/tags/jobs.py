"""Jobs: work that takes longer than a request, done step by step by whichever process holds the lease.

A job's document is its own lease. Each step writes to it in the step's own transaction, so a process
that was taken for dead and goes on all the same commits nothing. Only the oldest job that is not
finished can be claimed: there is one worker at a time, whatever the number of processes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import tag_id
from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import object_id
from tagify.catalog.tags.rename import RenameStep
from tagify.catalog.transactions import Transactions
from tagify.errors import NotFound, TagifyError
from tagify.model import JobId, JobState, LibraryId, RenameJob

LEASE_S = 10.0
"""A worker from which nothing is heard for this long is taken for dead, in seconds."""

STEP_TIMEOUT_S = 30.0
"""Deadline of one step, repeats after conflicts included."""

_UNFINISHED = {"state": {"$in": [JobState.WAITING.value, JobState.RUNNING.value]}}

Doc = Mapping[str, Any]


class JobLeaseLost(TagifyError):
    """Another process works on this job now; nothing of the step was written."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """The right to work on a job. A later claim has a higher token."""

    job: RenameJob
    token: int


class TagJobs:
    """The jobs of the catalog."""

    def __init__(self, database: Database, transactions: Transactions, turn: asyncio.Lock) -> None:
        """`turn` is held by whoever changes tags in this process."""
        self._database = database
        self._jobs = database.jobs
        self._transactions = transactions
        self._turn = turn

    @maps_driver_errors
    async def enqueue_rename(self, source: str, target: str, library_id: LibraryId | None) -> RenameJob:
        """A new job: the tag becomes another; where that is in use already, the two become one.

        Raises NotFound where nothing carries the tag, Unavailable.
        """
        library = object_id(library_id) if library_id else None
        tag = await self._database.tags.find_one({"_id": tag_id(library, source)})
        if tag is None:
            raise NotFound(f"there is no tag {source}" + (" in this library" if library else ""))
        doc = {
            "_id": ObjectId(),
            "kind": "rename",
            "source": tag["name"],
            "sources": [tag["name"]],
            "target": target,
            "library_id": library,
            "state": JobState.WAITING.value,
            "total": tag["count"],
            "done": 0,
            "token": 0,
            "created_at": datetime.now(UTC),
        }
        await self._jobs.insert_one(doc)
        return _job(doc)

    @maps_driver_errors
    async def get(self, job_id: JobId) -> RenameJob | None:
        """The job, or None where there is none, or none any more. Raises Unavailable."""
        doc = await self._jobs.find_one({"_id": object_id(job_id)})
        return _job(doc) if doc else None

    @maps_driver_errors
    async def acquire_oldest(self) -> ClaimedJob | None:
        """The oldest job that is not finished, if nobody works on it. Raises Unavailable."""
        oldest = await self._jobs.find_one(_UNFINISHED, {"_id": 1}, sort=[("_id", 1)])
        if oldest is None:
            return None
        free = {"$expr": {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}}
        taken = {"token": {"$add": ["$token", 1]}, "state": JobState.RUNNING.value, "until": _until()}
        doc = await self._jobs.find_one_and_update(
            {"_id": oldest["_id"], **_UNFINISHED, **free},
            [{"$set": taken}],
            return_document=ReturnDocument.AFTER,
        )
        return ClaimedJob(_job(doc), doc["token"]) if doc else None

    @maps_driver_errors
    async def run_step(self, claim: ClaimedJob) -> bool:
        """Do some of the job, images and counts and progress together; whether there is more to do.

        Raises JobLost, Unavailable.
        """
        async with self._turn:
            with pymongo.timeout(STEP_TIMEOUT_S):
                return await self._transactions.run(lambda session: self._step(claim, session))

    @maps_driver_errors
    async def fail(self, claim: ClaimedJob, reason: str) -> None:
        """Give the job up, so that the others have their turn. Raises Unavailable."""
        await self._jobs.update_one(
            {"_id": object_id(claim.job.id), "token": claim.token},
            {"$set": {"state": JobState.FAILED.value, "error": reason, "finished_at": datetime.now(UTC)}},
        )

    async def _step(self, claim: ClaimedJob, session: AsyncClientSession) -> bool:
        held = {"_id": object_id(claim.job.id), "token": claim.token}
        doc = await self._jobs.find_one(held, session=session)
        if doc is None:
            raise JobLeaseLost(f"another process works on job {claim.job.id} now")
        step = RenameStep(doc["_id"], frozenset(doc["sources"]), doc["target"], doc["library_id"])
        changed, sources = await step.run(self._database, session)
        progress: dict[str, Any] = {"done": doc["done"] + changed, "sources": sorted(sources)}
        if not changed:
            progress |= {"state": JobState.DONE.value, "finished_at": datetime.now(UTC)}
        # Written to in any case: reading it alone would not keep another from taking it meanwhile.
        await self._jobs.update_one(held, [{"$set": progress | {"until": _until()}}], session=session)
        return changed > 0


def _until() -> dict[str, Any]:
    return {"$add": ["$$NOW", int(LEASE_S * 1000)]}


def _job(doc: Doc) -> RenameJob:
    library = doc["library_id"]
    return RenameJob(
        id=JobId(str(doc["_id"])),
        source=doc["source"],
        target=doc["target"],
        library_id=LibraryId(str(library)) if library else None,
        state=JobState(doc["state"]),
        total=doc["total"],
        done=doc["done"],
        created_at=doc["created_at"],
        finished_at=doc.get("finished_at"),
        error=doc.get("error", ""),
    )
