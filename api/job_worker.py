"""Works on the catalog's jobs in the background, one at a time over all processes."""

import asyncio
import logging

from tagify.catalog import CatalogError, ClaimedJob, JobLeaseLost, TagJobs
from tagify.errors import TagifyError
from tagify.logs import fields

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""Time between two looks for a job, in seconds."""

WAIT_S = 2.0
"""Time until it is tried again where MongoDB was away, in seconds."""


class Worker:
    """Takes jobs and does them, step by step; `run` until cancelled."""

    def __init__(self, jobs: TagJobs) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """A job that is broken off, by whatever, is gone on with by whoever claims it next."""
        while True:
            try:
                claim = await self._jobs.acquire_oldest()
                if claim is not None:
                    await self._do(claim)
                    continue
                await asyncio.sleep(POLL_S)
            except JobLeaseLost as lost:
                logger.warning("a job goes on elsewhere: %s", lost)
            except TagifyError as error:
                logger.warning("jobs wait: %s", error)
                await asyncio.sleep(WAIT_S)

    async def _do(self, claim: ClaimedJob) -> None:
        try:
            while await self._jobs.run_step(claim):
                pass
        except CatalogError as error:
            logger.exception("a job failed", extra=fields(job=claim.job.id))
            await self._jobs.fail(claim, str(error))
