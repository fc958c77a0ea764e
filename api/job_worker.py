"""Runs the catalog's jobs in the background, one at a time across all processes."""

import asyncio
import logging
from collections import Counter

from tagify.catalog import CatalogError, ClaimedJob, JobLeaseLost, TagJobs
from tagify.errors import TagifyError, Unavailable
from tagify.logs import fields
from tagify.model import JobId

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""Time between two queries for a waiting job, in seconds."""

RETRY_DELAY_S = 2.0
"""Time until the next try after MongoDB was unavailable, in seconds."""


MAX_TRIES = 3
"""Unexpected errors of one job after which it fails, so that the jobs after it are run."""


class JobWorker:
    """Claims jobs and runs them step by step, until cancelled."""

    def __init__(self, jobs: TagJobs) -> None:
        self._jobs = jobs
        self._errors: Counter[JobId] = Counter()

    async def run(self) -> None:
        """Poll for jobs until cancelled. The worker that claims an interrupted job continues it."""
        while True:
            try:
                claim = await self._jobs.acquire_oldest()
                if claim is not None:
                    await self._run_job(claim)
                    continue
                await asyncio.sleep(POLL_S)
            except JobLeaseLost as lost:
                logger.warning("job lease lost to another worker: %s", lost)
            except Unavailable as error:
                logger.debug("cannot run jobs while MongoDB is down: %s", error)
                await asyncio.sleep(RETRY_DELAY_S)
            except TagifyError as error:
                logger.warning("cannot run jobs now; retrying: %s", error)
                await asyncio.sleep(RETRY_DELAY_S)

    async def _run_job(self, claim: ClaimedJob) -> None:
        try:
            while await self._jobs.run_step(claim):
                pass
        except CatalogError as error:
            logger.exception("job failed", extra=fields(job=claim.job.id))
            await self._jobs.mark_failed(claim, str(error))
        except TagifyError:
            raise
        except Exception as error:
            # The next try is by the process that acquires the job when its lease has expired.
            self._errors[claim.job.id] += 1
            if self._errors[claim.job.id] >= MAX_TRIES:
                del self._errors[claim.job.id]
                await self._jobs.mark_failed(claim, f"a bug: {type(error).__name__}")
            raise
