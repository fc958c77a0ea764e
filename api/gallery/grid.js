// The grid: rows of equal height; tiles have their final size before their image has loaded.

import { draw } from "./thumbhash.js";
import { go } from "./state.js";

const grid = document.getElementById("grid");
const ROW_HEIGHT = 220;

/** The images on the page, in order. @type {Map<string, object>} */
export const shown = new Map();

/** Remove all images. */
export function clear() {
  shown.clear();
  grid.replaceChildren();
}

/** Append images. @param {object[]} items */
export function append(items) {
  for (const item of items) if (!shown.has(item._id)) insert(item, (tile) => grid.append(tile));
}

/** Insert an image at the start, or update it if it is shown. @param {object} item */
export function prepend(item) {
  if (shown.has(item._id)) return update(item);
  const rest = [...shown];
  shown.clear();
  insert(item, (tile) => {
    tile.classList.add("new");
    grid.prepend(tile);
  });
  for (const [id, old] of rest) shown.set(id, old);
}

/** Update an image; its tile is replaced only if its content changed. @param {object} item */
export function update(item) {
  const oldTile = tileOf(item._id);
  const oldItem = shown.get(item._id);
  shown.set(item._id, item);
  if (oldTile && oldItem && oldItem.content !== item.content) oldTile.replaceWith(tile(item));
}

/** Remove an image. @param {string} id */
export function remove(id) {
  shown.delete(id);
  tileOf(id)?.remove();
}

/** The link to an image on the page. @param {string} id */
export const link = (id) => tileOf(id)?.querySelector("a");

const tileOf = (id) => grid.querySelector(`[data-image-id="${CSS.escape(id)}"]`);

function insert(item, attach) {
  shown.set(item._id, item);
  attach(tile(item));
}

function tile(item) {
  const ratio = Math.min(4, Math.max(0.4, item.width / item.height || 1));
  const element = document.createElement("li");
  element.className = "tile";
  element.dataset.imageId = item._id;
  element.style.flex = `${ratio * 100} 1 calc(var(--row) * ${ratio})`;
  element.style.maxWidth = `${ratio * ROW_HEIGHT * 1.6}px`;
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
  if (item.damaged) anchor.append(damagedMark());
  element.append(anchor);
  return element;
}

function damagedMark() {
  const mark = document.createElement("span");
  mark.className = "damaged";
  mark.textContent = "damaged";
  return mark;
}

function thumb(item, ratio) {
  const img = document.createElement("img");
  img.alt = item.path.split("/").pop();
  img.loading = "lazy";
  img.decoding = "async";
  img.addEventListener("load", () => img.classList.add("loaded"));
  img.sizes = `${Math.round(ratio * ROW_HEIGHT * 1.2)}px`;
  img.srcset = (item.variants || []).map(({ url, width }) => `${url} ${width}w`).join(", ");
  img.src = item.thumb;
  return img;
}
