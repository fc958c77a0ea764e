// The grid: rows of equal height, boxes that have their size before their picture is there.

import { draw } from "./thumbhash.js";
import { go } from "./state.js";

const grid = document.getElementById("grid");
const ROW = 220;

/** The images on the page, in order. @type {Map<string, object>} */
export const shown = new Map();

/** Take all away. */
export function clear() {
  shown.clear();
  grid.replaceChildren();
}

/** Add images below. @param {object[]} items */
export function append(items) {
  for (const item of items) if (!shown.has(item._id)) put(item, (tile) => grid.append(tile));
}

/** Put one on top. @param {object} item */
export function prepend(item) {
  if (shown.has(item._id)) return update(item);
  const rest = [...shown];
  shown.clear();
  put(item, (tile) => {
    tile.classList.add("new");
    grid.prepend(tile);
  });
  for (const [id, old] of rest) shown.set(id, old);
}

/** Draw one anew where it is. @param {object} item */
export function update(item) {
  const old = tileOf(item._id);
  const before = shown.get(item._id);
  shown.set(item._id, item);
  if (old && before && before.content !== item.content) old.replaceWith(tile(item));
}

/** Take one away. @param {string} id */
export function remove(id) {
  shown.delete(id);
  tileOf(id)?.remove();
}

/** The link to an image on the page. @param {string} id */
export const link = (id) => tileOf(id)?.querySelector("a");

const tileOf = (id) => grid.querySelector(`[data-image-id="${CSS.escape(id)}"]`);

function put(item, place) {
  shown.set(item._id, item);
  place(tile(item));
}

function tile(item) {
  const ratio = Math.min(4, Math.max(0.4, item.width / item.height || 1));
  const element = document.createElement("li");
  element.className = "tile";
  element.dataset.imageId = item._id;
  element.style.flex = `${ratio * 100} 1 calc(var(--row) * ${ratio})`;
  element.style.maxWidth = `${ratio * ROW * 1.6}px`;
  const anchor = document.createElement("a");
  anchor.href = `?image=${item._id}`;
  anchor.style.aspectRatio = `${ratio}`;
  anchor.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go({ image: item._id });
  });
  const canvas = document.createElement("canvas");
  draw(canvas, item.placeholder);
  anchor.append(canvas, thumb(item, ratio));
  element.append(anchor);
  return element;
}

function thumb(item, ratio) {
  const img = document.createElement("img");
  img.alt = item.path.split("/").pop();
  img.loading = "lazy";
  img.decoding = "async";
  img.addEventListener("load", () => img.classList.add("there"));
  img.sizes = `${Math.round(ratio * ROW * 1.2)}px`;
  img.srcset = (item.variants || []).map(({ url, width }) => `${url} ${width}w`).join(", ");
  img.src = item.thumb;
  return img;
}
