"""Any sequence of changes of tags and of taking them back comes out as a plain model has it."""

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
"""Images of the first of two libraries."""
WORDS = ("sea", "Sea", "sun", "Straße", "STRASSE", "a b")
some_tags = st.lists(st.sampled_from(WORDS), max_size=3)
some_images = st.sets(st.integers(0, NUMBER - 1), min_size=1)
changes = st.tuples(st.just("change"), some_images, some_tags, some_tags)
undos = st.tuples(st.just("undo"), st.integers(0, 20))
renames = st.tuples(st.just("rename"), st.sampled_from(WORDS), st.sampled_from(WORDS), st.booleans())
sequences = st.lists(st.one_of(changes, changes, undos, renames), min_size=1, max_size=12)


@dataclass
class Worn:
    """The tags of one image, and who changed which of them, in order."""

    tags: list[str] = field(default_factory=list)
    log: list[tuple[str, int]] = field(default_factory=list)

    def wears(self, tag: str) -> bool:
        return tag_key(tag) in map(tag_key, self.tags)

    def last(self, tag: str) -> int | None:
        return next((by for key, by in reversed(self.log) if key == tag_key(tag)), None)


class Model:
    """Images as lists of tags, and changes as what they did to each."""

    def __init__(self) -> None:
        self.images = [Worn() for _ in range(NUMBER)]
        self.done: list[list[tuple[int, str, int | None]]] = []

    def spelt(self, tag: str) -> str:
        return next((t for i in self.images for t in i.tags if tag_key(t) == tag_key(tag)), tag)

    def change(self, images: set[int], add: list[str], remove: list[str]) -> None:
        """Each change is a list of (image, tag, place it was taken from or None where it was put on)."""
        by = len(self.done)
        did: list[tuple[int, str, int | None]] = []
        spelt: dict[str, str] = {}
        for tag in add:
            spelt.setdefault(tag_key(tag), self.spelt(tag))
        for number in sorted(images):
            image = self.images[number]
            gone = [
                (place, tag)
                for place, tag in enumerate(image.tags)
                if tag_key(tag) in set(map(tag_key, remove)) - spelt.keys()
            ]
            for place, tag in gone:
                did.append((number, tag, place))
            for tag in spelt.values():
                if not image.wears(tag):
                    did.append((number, tag, None))
                    image.tags.append(tag)
            for _, tag in gone:
                image.tags.remove(tag)
        for number, tag, _ in did:
            self.images[number].log.append((tag_key(tag), by))
        self.done.append(did)

    def undo(self, by: int) -> None:
        did, self.done[by] = self.done[by], []
        mine = [step for step in did if self.images[step[0]].last(step[1]) == by]
        for number, tag, place in mine:
            if place is None:
                worn = self.images[number].tags
                worn[:] = [other for other in worn if tag_key(other) != tag_key(tag)]
        back = sorted((number, place, tag) for number, tag, place in mine if place is not None)
        for number, place, tag in back:
            self.images[number].tags.insert(place, self.spelt(tag))
        for number, _, _ in mine:
            self.images[number].log = [entry for entry in self.images[number].log if entry[1] != by]

    def rename(self, source: str, target: str, half: bool) -> bool:
        """On the images of the first library alone, or on all; whether there is anything to do."""
        images = self.images[:FIRST] if half else self.images
        is_one = tag_key(source) == tag_key(target)
        if (half and is_one) or not any(image.wears(source) for image in images):
            return False
        name = target if is_one else self.spelt(target)
        for image in images:
            if image.wears(source) and not is_one:
                image.log += [(tag_key(source), -1), (tag_key(target), -1)]
            if not is_one and image.wears(target):
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
async def test_changes_undos_and_renames_in_any_order(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, sequence: list[tuple[Any, ...]]
) -> None:
    # So that a change of a few images takes several transactions.
    monkeypatch.setattr("tagify.catalog.tags.repository.BATCH", 2)
    monkeypatch.setattr("tagify.catalog.tags.rename.STEP_SIZE", 2)
    libraries = [await catalog.libraries.create("Test", f"/srv/{number}") for number in range(2)]
    ids = await insert_images(catalog, libraries[0], FIRST) + await insert_images(
        catalog, libraries[1], NUMBER - FIRST
    )
    model, tokens = Model(), list[str]()
    try:
        for kind, *step in sequence:
            if kind == "change":
                await change(catalog, model, tokens, ids, *step)
            elif kind == "rename":
                await rename(catalog, model, libraries[0], *step)
            elif step[0] < len(tokens) and tokens[step[0]]:
                model.undo(step[0])
                await catalog.tags.undo(tokens[step[0]])
            assert [list(await tags_of(catalog, name)) for name in ids] == [i.tags for i in model.images]
            await assert_counts_exact(catalog)
    finally:
        for library in libraries:
            await remove_library(catalog, library)


async def rename(
    catalog: Catalog, model: Model, library: Library, source: str, target: str, half: bool
) -> None:
    if not model.rename(source, target, half):
        return
    job = await catalog.tag_jobs.enqueue_rename(source, target, library.id if half else None)
    claim = await catalog.tag_jobs.acquire_oldest()
    assert claim is not None
    assert claim.job.id == job.id
    while await catalog.tag_jobs.run_step(claim):
        # Halfway through, a tag is spelt in two ways; what is counted is exact at each step.
        assert not [fault for fault in await catalog.count_verifier.verify() if isinstance(fault, Miscount)]
    assert await catalog.tag_jobs.acquire_oldest() is None


async def change(
    catalog: Catalog,
    model: Model,
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
