"""Sequences of tag changes, undos and renames match an in-memory model."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tagify.catalog import Catalog, Miscount
from tagify.model import ImageId, Library
from tagify.tagnames import tag_key
from tests.support.catalog_fixtures import assert_counts_exact, insert_images, remove_library, tags_of

NUMBER = 5
FIRST = 3
"""Number of images in the first of two libraries."""
WORDS = ("sea", "Sea", "sun", "Straße", "STRASSE", "a b")
some_tags = st.lists(st.sampled_from(WORDS), max_size=3)
some_images = st.sets(st.integers(0, NUMBER - 1), min_size=1)
changes = st.tuples(st.just("change"), some_images, some_tags, some_tags)
undos = st.tuples(st.just("undo"), st.integers(0, 20))
renames = st.tuples(st.just("rename"), st.sampled_from(WORDS), st.sampled_from(WORDS), st.booleans())
sequences = st.lists(st.one_of(changes, changes, undos, renames), min_size=1, max_size=12)


@dataclass
class TaggedImageModel:
    """The tags of one image, and a log of (tag key, change number)."""

    tags: list[str] = field(default_factory=list)
    log: list[tuple[str, int]] = field(default_factory=list)

    def has_tag(self, tag: str) -> bool:
        return tag_key(tag) in map(tag_key, self.tags)

    def last_change(self, tag: str) -> int | None:
        return next((change_number for key, change_number in reversed(self.log) if key == tag_key(tag)), None)


class TagsModel:
    """Images with their tags, and the edits of each change."""

    def __init__(self) -> None:
        self.images = [TaggedImageModel() for _ in range(NUMBER)]
        self.done: list[list[tuple[int, str, int | None]]] = []

    def spelling_of(self, tag: str) -> str:
        return next((t for i in self.images for t in i.tags if tag_key(t) == tag_key(tag)), tag)

    def change(self, images: set[int], add: list[str], remove: list[str]) -> None:
        """Record a change as a list of (image, tag, former index; None if added)."""
        change_number = len(self.done)
        edits: list[tuple[int, str, int | None]] = []
        spellings: dict[str, str] = {}
        for tag in add:
            spellings.setdefault(tag_key(tag), self.spelling_of(tag))
        for number in sorted(images):
            image = self.images[number]
            removed = [
                (index, tag)
                for index, tag in enumerate(image.tags)
                if tag_key(tag) in set(map(tag_key, remove)) - spellings.keys()
            ]
            for index, tag in removed:
                edits.append((number, tag, index))
            for tag in spellings.values():
                if not image.has_tag(tag):
                    edits.append((number, tag, None))
                    image.tags.append(tag)
            for _, tag in removed:
                image.tags.remove(tag)
        for number, tag, _ in edits:
            self.images[number].log.append((tag_key(tag), change_number))
        self.done.append(edits)

    def undo(self, change_number: int) -> None:
        edits, self.done[change_number] = self.done[change_number], []
        undoable = [step for step in edits if self.images[step[0]].last_change(step[1]) == change_number]
        for number, tag, index in undoable:
            if index is None:
                tags = self.images[number].tags
                tags[:] = [other for other in tags if tag_key(other) != tag_key(tag)]
        restored = sorted((number, index, tag) for number, tag, index in undoable if index is not None)
        for number, index, tag in restored:
            self.images[number].tags.insert(index, self.spelling_of(tag))
        for number, _, _ in undoable:
            self.images[number].log = [
                entry for entry in self.images[number].log if entry[1] != change_number
            ]

    def rename(self, source: str, target: str, half: bool) -> bool:
        """Rename in the first library only (`half`), or in all; False if there is nothing to do."""
        images = self.images[:FIRST] if half else self.images
        same_tag = tag_key(source) == tag_key(target)
        if (half and same_tag) or not any(image.has_tag(source) for image in images):
            return False
        name = target if same_tag else self.spelling_of(target)
        for image in images:
            if image.has_tag(source) and not same_tag:
                image.log += [(tag_key(source), -1), (tag_key(target), -1)]
            if not same_tag and image.has_tag(target):
                image.tags = [tag for tag in image.tags if tag_key(tag) != tag_key(source)]
            image.tags = [name if tag_key(tag) == tag_key(source) else tag for tag in image.tags]
        return True


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=sequences)
@example(sequence=[("change", set(range(NUMBER)), ["sea"], []), ("rename", "sea", "Sea", False)])
async def test_changes_undos_and_renames_match_the_model(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, sequence: list[tuple[Any, ...]]
) -> None:
    # Small batches, so that a change of a few images takes several transactions.
    monkeypatch.setattr("tagify.catalog.tags.repository.BATCH", 2)
    monkeypatch.setattr("tagify.catalog.tags.rename.STEP_SIZE", 2)
    libraries = [await catalog.libraries.create("Test", f"/srv/{number}") for number in range(2)]
    ids = await insert_images(catalog, libraries[0], FIRST) + await insert_images(
        catalog, libraries[1], NUMBER - FIRST
    )
    model, tokens = TagsModel(), list[str]()
    try:
        for kind, *step in sequence:
            if kind == "change":
                await change(catalog, model, tokens, ids, *step)
            elif kind == "rename":
                await rename(catalog, model, libraries[0], *step)
            elif step[0] < len(tokens) and tokens[step[0]]:
                model.undo(step[0])
                await catalog.tags.undo(tokens[step[0]])
            assert [list(await tags_of(catalog, image_id)) for image_id in ids] == [
                i.tags for i in model.images
            ]
            await assert_counts_exact(catalog)
    finally:
        for library in libraries:
            await remove_library(catalog, library)


async def rename(
    catalog: Catalog, model: TagsModel, library: Library, source: str, target: str, half: bool
) -> None:
    if not model.rename(source, target, half):
        return
    job = await catalog.tag_jobs.enqueue_rename(source, target, library.id if half else None)
    claimed = await catalog.tag_jobs.acquire_oldest()
    assert claimed is not None
    assert claimed.job.id == job.id
    while await catalog.tag_jobs.run_step(claimed):
        # A tag has two spellings until the last step, but counts are exact after each step.
        assert not [item for item in await catalog.count_verifier.verify() if isinstance(item, Miscount)]
    assert await catalog.tag_jobs.acquire_oldest() is None


async def change(
    catalog: Catalog,
    model: TagsModel,
    tokens: list[str],
    ids: list[ImageId],
    images: set[int],
    add: list[str],
    remove: list[str],
) -> None:
    model.change(images, add, remove)
    chosen = [ids[number] for number in sorted(images)]
    changed = await catalog.tags.change(chosen, add, remove)
    tokens.append(changed.undo)
    assert changed.changed_count == len({number for number, _, _ in model.done[-1]})
    assert [image.id for image in changed.images] == chosen
