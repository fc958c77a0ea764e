// Infinite scroll: loads the next page when the end of the list comes into view.

import * as api from "./api.js";
import { append, clear, shown } from "./grid.js";
import { filter } from "./state.js";

const listStatus = document.getElementById("list-status");
const retry = document.getElementById("retry");
const sentinel = document.getElementById("list-sentinel");

let cursor = null;
let done = false;
let loading = null;
let generation = 0;

/** Load the list from its start, for the view in the URL. */
export async function restart() {
  generation += 1;
  cursor = null;
  done = false;
  loading = null;
  const ownGeneration = generation;
  await next((items) => {
    if (ownGeneration === generation) clear();
    append(items);
  });
}

/** Load the next page, or join a load in progress. @param {(items: object[]) => void} [show] */
export function next(show = append) {
  if (done) return Promise.resolve();
  loading ??= load(show, generation).finally(() => (loading = null));
  return loading;
}

// `ownGeneration`: the result is dropped if the list was restarted since.
async function load(show, ownGeneration) {
  retry.hidden = true;
  try {
    const page = await api.images(filter(), cursor);
    if (ownGeneration !== generation) return;
    show(page.items);
    cursor = page.next_cursor;
    done = cursor === null;
    listStatus.textContent = done ? (shown.size ? "That is all." : "No images here yet: drop some into the library's folder and they appear.") : "";
  } catch (error) {
    if (ownGeneration !== generation) return;
    listStatus.textContent = `The images could not be loaded: ${error.message}`;
    retry.hidden = false;
  }
}

/** Load further pages whenever the end of the list is in view. */
export function observeEnd() {
  retry.addEventListener("click", () => next());
  const observer = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    await next();
    // The observer reports only changes: observe again, since after a short page the end is still in view.
    observer.unobserve(sentinel);
    if (!done && retry.hidden) observer.observe(sentinel);
  }, { rootMargin: "1200px" });
  observer.observe(sentinel);
  addEventListener("view", () => {
    observer.unobserve(sentinel);
    observer.observe(sentinel);
  });
}
