// The view (library, tags, open image), stored in the URL: it survives a reload, and Back restores it.

/** The view in the URL. */
export function current() {
  const query = new URLSearchParams(location.search);
  return {
    library: query.get("library") || "",
    tags: query.getAll("tag"),
    untagged: query.get("untagged") === "1",
    image: query.get("image") || "",
  };
}

/** Change the view. @param {object} change @param {boolean} [replace] */
export function go(change, replace = false) {
  const view = { ...current(), ...change };
  const query = new URLSearchParams();
  if (view.library) query.set("library", view.library);
  for (const tag of view.tags) query.append("tag", tag);
  if (view.untagged) query.set("untagged", "1");
  if (view.image) query.set("image", view.image);
  const url = query.size ? `?${query}` : location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  dispatchEvent(new Event("view"));
}

/** The view's filter as query parameters of the API. */
export function filter() {
  const { library, tags, untagged } = current();
  const query = new URLSearchParams();
  if (library) query.set("library_id", library);
  if (untagged) query.set("no_tags", "1");
  else for (const tag of tags) query.append("tags", tag);
  return query;
}

/** Whether an image matches the view's filter. */
export function matches(item) {
  const { library, tags, untagged } = current();
  if (library && item.library_id !== library) return false;
  if (untagged) return item.tags.length === 0;
  const names = new Set(item.tags.map((name) => name.toLowerCase()));
  return tags.every((tag) => names.has(tag.toLowerCase()));
}
