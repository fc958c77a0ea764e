"""Jobs: work longer than a request, done in steps by the process that holds the job's lease.

A job's document is its lease. Each step writes to it in the step's own transaction, so a process whose
lease expired commits nothing more (fencing token). Only the oldest unfinished job can be acquired, so
one worker runs at a time, whatever the number of processes.
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
from tagify.model import JobId, JobState, Lease, LibraryId, RenameJob

LEASE_S = 10.0
"""Lifetime of a job's lease in seconds; each step renews it. Then another process may take the job over."""

STEP_TIMEOUT_S = 30.0
"""Deadline of one step in seconds, including retries after write conflicts."""

_UNFINISHED = {"state": {"$in": [JobState.WAITING.value, JobState.RUNNING.value]}}

Doc = Mapping[str, Any]


class JobLeaseLost(TagifyError):
    """Another process holds the lease of this job; nothing of the step was written."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job and the lease under which its steps are run."""

    job: RenameJob
    lease: Lease


class TagJobs:
    """The queue of rename jobs."""

    def __init__(self, database: Database, transactions: Transactions, write_lock: asyncio.Lock) -> None:
        """`write_lock` serialises the changes of tags in this process."""
        self._database = database
        self._jobs = database.jobs
        self._transactions = transactions
        self._write_lock = write_lock

    @maps_driver_errors
    async def enqueue_rename(self, source: str, target: str, library_id: LibraryId | None) -> RenameJob:
        """Enqueue a job that renames a tag, or merges it into `target` if that is in use.

        Raises NotFound if no image has the tag, Unavailable.
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
        return _job_from_doc(doc)

    @maps_driver_errors
    async def get(self, job_id: JobId) -> RenameJob | None:
        """The job; None if unknown or expired. Raises Unavailable."""
        doc = await self._jobs.find_one({"_id": object_id(job_id)})
        return _job_from_doc(doc) if doc else None

    @maps_driver_errors
    async def acquire_oldest(self) -> ClaimedJob | None:
        """Acquire the oldest unfinished job; None if there is none or it is leased. Raises Unavailable."""
        oldest = await self._jobs.find_one(_UNFINISHED, {"_id": 1}, sort=[("_id", 1)])
        if oldest is None:
            return None
        is_free = {"$expr": {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}}
        fields = {"token": {"$add": ["$token", 1]}, "state": JobState.RUNNING.value, "until": _expiry()}
        doc = await self._jobs.find_one_and_update(
            {"_id": oldest["_id"], **_UNFINISHED, **is_free},
            [{"$set": fields}],
            return_document=ReturnDocument.AFTER,
        )
        return ClaimedJob(_job_from_doc(doc), Lease("", doc["token"], doc["until"])) if doc else None

    @maps_driver_errors
    async def run_step(self, claimed: ClaimedJob) -> bool:
        """Run one step: images, counts and progress in one transaction. False when the job is done.

        Raises JobLeaseLost, Unavailable.
        """
        async with self._write_lock:
            with pymongo.timeout(STEP_TIMEOUT_S):
                return await self._transactions.run(lambda session: self._run_step(claimed, session))

    @maps_driver_errors
    async def mark_failed(self, claimed: ClaimedJob, reason: str) -> None:
        """Mark the job as failed, so that the next one can run. Raises Unavailable."""
        await self._jobs.update_one(
            _held_by(claimed),
            {"$set": {"state": JobState.FAILED.value, "error": reason, "finished_at": datetime.now(UTC)}},
        )

    async def _run_step(self, claimed: ClaimedJob, session: AsyncClientSession) -> bool:
        query = _held_by(claimed)
        doc = await self._jobs.find_one(query, session=session)
        if doc is None:
            raise JobLeaseLost(f"another process has acquired job {claimed.job.id}")
        step = RenameStep(doc["_id"], frozenset(doc["sources"]), doc["target"], doc["library_id"])
        changed, sources = await step.run(self._database, session)
        progress: dict[str, Any] = {"done": doc["done"] + changed, "sources": sorted(sources)}
        if not changed:
            progress |= {"state": JobState.DONE.value, "finished_at": datetime.now(UTC)}
        # Always written: after a mere read another process could acquire the job before the commit.
        await self._jobs.update_one(query, [{"$set": progress | {"until": _expiry()}}], session=session)
        return changed > 0


def _held_by(claimed: ClaimedJob) -> dict[str, Any]:
    return {"_id": object_id(claimed.job.id), "token": claimed.lease.token}


def _expiry() -> dict[str, Any]:
    return {"$add": ["$$NOW", int(LEASE_S * 1000)]}


def _job_from_doc(doc: Doc) -> RenameJob:
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
