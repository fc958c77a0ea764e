// What happens while the page is open: new images appear, removed ones vanish, nobody reloads.

import * as chips from "./chips.js";
import * as grid from "./grid.js";
import { restart } from "./pages.js";
import { matches } from "./state.js";
import * as viewer from "./viewer.js";

const BURST = 200;
const fresh = document.getElementById("fresh");
const notice = document.getElementById("notice");

let pending = new Map();
let timer = 0;
let unseen = 0;

/** Listen until the page is left. @param {(library?: object) => void} onLibrary */
export function listen(onLibrary) {
  const source = new EventSource("/api/events");
  for (const kind of ["image.added", "image.changed", "image.removed"]) {
    source.addEventListener(kind, ({ data }) => note(kind, JSON.parse(data)));
  }
  source.addEventListener("library.changed", ({ data }) => onLibrary(JSON.parse(data)));
  source.addEventListener("library.removed", () => onLibrary());
  source.addEventListener("reload", restart);
  source.addEventListener("error", () => tell("The connection is lost; trying again."));
  source.addEventListener("open", () => tell(""));
  fresh.addEventListener("click", () => {
    scrollTo({ top: 0 });
    unseen = 0;
    fresh.hidden = true;
    restart();
  });
}

function tell(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

// Thousands of events a second must not be thousands of drawings.
function note(kind, item) {
  pending.set(item._id, { kind, item });
  timer ||= setTimeout(drain, 200);
}

function drain() {
  const batch = pending;
  pending = new Map();
  timer = 0;
  chips.refresh();
  const news = [...batch.values()].filter(({ kind, item }) => kind === "image.added" && matches(item));
  for (const { kind, item } of batch.values()) {
    if (kind === "image.removed" || (kind === "image.changed" && !matches(item))) grid.remove(item._id);
    else if (kind === "image.changed") grid.update(item);
    viewer.changed(kind === "image.changed" ? item : {});
  }
  const added = news.filter(({ item }) => !grid.shown.has(item._id));
  if (!added.length) return;
  if (scrollY > 300) {
    unseen += added.length;
    fresh.textContent = `${unseen.toLocaleString()} new`;
    fresh.hidden = false;
  } else if (added.length > BURST) restart();
  else {
    document.getElementById("end").textContent = "";
    for (const { item } of added) grid.prepend(item);
  }
}
