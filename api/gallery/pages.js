// Loading page after page as the reader scrolls.

import * as api from "./api.js";
import { append, clear, shown } from "./grid.js";
import { filter } from "./state.js";

const end = document.getElementById("end");
const retry = document.getElementById("retry");
const more = document.getElementById("more");

let cursor = null;
let done = false;
let loading = null;
let generation = 0;

/** Begin again at the top, for the view of the URL. */
export async function restart() {
  generation += 1;
  cursor = null;
  done = false;
  loading = null;
  const kept = generation;
  await next((items) => {
    if (kept === generation) clear();
    append(items);
  });
}

/** Load the next page, unless one is on its way. @param {(items: object[]) => void} [show] */
export function next(show = append) {
  if (done) return Promise.resolve();
  loading ??= load(show, generation).finally(() => (loading = null));
  return loading;
}

async function load(show, mine) {
  retry.hidden = true;
  try {
    const page = await api.images(filter(), cursor);
    if (mine !== generation) return;
    show(page.items);
    cursor = page.next_cursor;
    done = cursor === null;
    end.textContent = done ? (shown.size ? "That is all." : "No images here yet: drop some into the library's folder and they appear.") : "";
  } catch (error) {
    if (mine !== generation) return;
    end.textContent = `The images could not be loaded: ${error.message}`;
    retry.hidden = false;
  }
}

/** Watch the end of the page. */
export function begin() {
  retry.addEventListener("click", () => next());
  const observer = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    await next();
    // Still in sight after a short page: ask anew.
    observer.unobserve(more);
    if (!done && retry.hidden) observer.observe(more);
  }, { rootMargin: "1200px" });
  observer.observe(more);
  addEventListener("view", () => {
    observer.unobserve(more);
    observer.observe(more);
  });
}
