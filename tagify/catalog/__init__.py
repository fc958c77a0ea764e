"""The catalog: what MongoDB holds of images, tags and libraries.

The driver is known in this folder only. What it raises leaves as Unavailable (no answer, or
not in time), CatalogError (refused) or ChangesLost.
"""

from tagify.catalog.change_stream import Change, ChangeKind, Mark
from tagify.catalog.client import Catalog, ServerFacts
from tagify.catalog.deletion_queue import StoredObject
from tagify.catalog.errors import CatalogError, ChangesLost, ContentCondemned, LeaseLost
from tagify.catalog.images.commands import MarkMissing, MoveImage, UpsertImage, Write
from tagify.catalog.library_status import LibraryStatusWriter
from tagify.catalog.purge_log import Purge, Purges
from tagify.catalog.queries.filters import ImageFilter, Sort
from tagify.catalog.queries.keyset import KeysetPosition
from tagify.catalog.queries.listing import WALKED, Page
from tagify.catalog.tags.edits import Tagged
from tagify.catalog.tags.jobs import Claim, JobLost, Jobs
from tagify.catalog.tags.repository import Changed
from tagify.catalog.tags.verify import Fault, Miscount, Misspelling

__all__ = [
    "WALKED",
    "Catalog",
    "CatalogError",
    "Change",
    "ChangeKind",
    "Changed",
    "ChangesLost",
    "Claim",
    "ContentCondemned",
    "Fault",
    "ImageFilter",
    "JobLost",
    "Jobs",
    "KeysetPosition",
    "LeaseLost",
    "LibraryStatusWriter",
    "Mark",
    "MarkMissing",
    "Miscount",
    "Misspelling",
    "MoveImage",
    "Page",
    "Purge",
    "Purges",
    "ServerFacts",
    "Sort",
    "StoredObject",
    "Tagged",
    "UpsertImage",
    "Write",
]
