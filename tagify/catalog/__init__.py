"""The catalog: images, tags, libraries, leases and jobs in MongoDB.

Only this package imports the driver. Its errors leave as Unavailable (no answer, or not in time),
CatalogError (the command was refused) or ChangeStreamHistoryLost.
"""

from tagify.catalog.change_stream import CatalogChange, ChangeKind, ResumeToken
from tagify.catalog.client import Catalog, ServerInfo
from tagify.catalog.deletion_queue import CLAIM_S, MarkedObject
from tagify.catalog.errors import CatalogError, ChangeStreamHistoryLost, ContentMarkedForDeletion, LeaseLost
from tagify.catalog.images.commands import ImageCommand, MarkMissing, MoveImage, UpsertImage
from tagify.catalog.library_status import LibraryStatusWriter
from tagify.catalog.purge_log import PurgeEntry, PurgeLog
from tagify.catalog.queries.filters import ImageFilter, Sort
from tagify.catalog.queries.keyset import KeysetPosition
from tagify.catalog.queries.listing import MAX_OFFSET_SCAN, ImagePage
from tagify.catalog.tags.edits import TaggedImage
from tagify.catalog.tags.jobs import ClaimedJob, JobLeaseLost, TagJobs
from tagify.catalog.tags.repository import TagChangeResult
from tagify.catalog.tags.verify import Discrepancy, Miscount, Misspelling

__all__ = [
    "CLAIM_S",
    "MAX_OFFSET_SCAN",
    "Catalog",
    "CatalogChange",
    "CatalogError",
    "ChangeKind",
    "ChangeStreamHistoryLost",
    "ClaimedJob",
    "ContentMarkedForDeletion",
    "Discrepancy",
    "ImageCommand",
    "ImageFilter",
    "ImagePage",
    "JobLeaseLost",
    "KeysetPosition",
    "LeaseLost",
    "LibraryStatusWriter",
    "MarkMissing",
    "MarkedObject",
    "Miscount",
    "Misspelling",
    "MoveImage",
    "PurgeEntry",
    "PurgeLog",
    "ResumeToken",
    "ServerInfo",
    "Sort",
    "TagChangeResult",
    "TagJobs",
    "TaggedImage",
    "UpsertImage",
]
