// Live updates: applies server-sent events to the grid, the viewer and the chips.

import * as chips from "./chips.js";
import * as grid from "./grid.js";
import { restart } from "./pages.js";
import { matches } from "./state.js";
import * as viewer from "./viewer.js";

// With more new images than this in one batch, the list is loaded again.
const MAX_PREPENDED = 200;
const newImagesButton = document.getElementById("new-images");
const notice = document.getElementById("notice");

let pending = new Map();
let timer = 0;
let unseenCount = 0;

/** Subscribe to events until the page is closed. @param {(library?: object) => void} onLibrary */
export function subscribe(onLibrary) {
  const source = new EventSource("/api/events");
  for (const kind of ["image.added", "image.changed", "image.removed"]) {
    source.addEventListener(kind, ({ data }) => enqueue(kind, JSON.parse(data)));
  }
  source.addEventListener("library.changed", ({ data }) => onLibrary(JSON.parse(data)));
  source.addEventListener("library.removed", () => onLibrary());
  source.addEventListener("reload", restart);
  source.addEventListener("error", () => {
    notice.textContent = "The connection is lost; trying again.";
    notice.hidden = false;
  });
  // The libraries' notices replace that of the lost connection.
  source.addEventListener("open", () => onLibrary());
  newImagesButton.addEventListener("click", () => {
    scrollTo({ top: 0 });
    unseenCount = 0;
    newImagesButton.hidden = true;
    restart();
  });
}

// Batched: thousands of events per second must not cause thousands of renderings.
function enqueue(kind, item) {
  pending.set(item._id, { kind, item });
  timer ||= setTimeout(applyPending, 200);
}

function applyPending() {
  const batch = pending;
  pending = new Map();
  timer = 0;
  chips.refresh();
  const matching = [...batch.values()].filter(({ kind, item }) => kind === "image.added" && matches(item));
  for (const { kind, item } of batch.values()) {
    if (kind === "image.removed" || (kind === "image.changed" && !matches(item))) grid.remove(item._id);
    else if (kind === "image.changed") grid.update(item);
    viewer.update(kind === "image.changed" ? item : {});
  }
  const added = matching.filter(({ item }) => !grid.shown.has(item._id));
  if (!added.length) return;
  if (scrollY > 300) {
    unseenCount += added.length;
    newImagesButton.textContent = `${unseenCount.toLocaleString()} new`;
    newImagesButton.hidden = false;
  } else if (added.length > MAX_PREPENDED) restart();
  else {
    document.getElementById("list-status").textContent = "";
    for (const { item } of added) grid.prepend(item);
  }
}
