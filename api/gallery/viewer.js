// The viewer: one image in a dialog, with its tags.

import * as api from "./api.js";
import { link, shown } from "./grid.js";
import { next } from "./pages.js";
import { current, go } from "./state.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("viewer");
let openId = null;

// The formats of originals that every browser shows.
const DISPLAYABLE = /^image\/(jpeg|png|gif|webp|avif|bmp)$/;

/** Show the image in the URL, or close the viewer. */
export async function show() {
  const { image } = current();
  if (!image) {
    if (dialog.open) dialog.close();
    link(openId)?.focus();
    openId = null;
    return;
  }
  openId = image;
  if (!dialog.open) dialog.showModal();
  const item = shown.get(image);
  if (item) showPicture(item);
  try {
    const details = await api.image(image);
    if (openId === image) showDetails(details, !item);
  } catch (error) {
    byId("name").textContent = error.message;
  }
}

/** Update the tags of the open image after an event. @param {object} item */
export function update(item) {
  if (item._id === openId) showTags(item);
}

function showPicture(item) {
  const img = byId("picture");
  img.style.backgroundImage = item.thumb ? `url("${item.thumb}")` : "";
  const variants = item.variants || [];
  img.srcset = variants.map(({ url, width }) => `${url} ${width}w`).join(", ");
  // Without variants the thumb, until the details say whether the browser can show the original.
  if (variants.length || !item.thumb) img.removeAttribute("src");
  else img.src = item.thumb;
  img.sizes = "100vw";
  img.alt = item.path.split("/").pop();
  byId("name").textContent = item.path;
  byId("facts").textContent = "";
  byId("damaged").hidden = !item.damaged;
  byId("original").href = item.original || "";
  byId("image-tags").replaceChildren();
}

function showDetails(item, withPicture) {
  if (withPicture) showPicture(item);
  // The original where there are no variants. GIFs may be animated, variants are not.
  if (item.mime === "image/gif" || (!item.variants?.length && DISPLAYABLE.test(item.mime))) {
    byId("picture").srcset = "";
    byId("picture").src = item.original;
  }
  const size = item.size >= 1e6 ? `${(item.size / 1e6).toFixed(1)} MB` : `${Math.ceil(item.size / 1e3)} kB`;
  const taken = item.taken_at ? new Date(item.taken_at).toLocaleString() : "";
  byId("facts").textContent = [`${item.width} × ${item.height}`, size, taken, item.error].filter(Boolean).join(" · ");
  showTags(item);
}

function showTags(item) {
  byId("image-tags").replaceChildren(
    ...item.tags.map((tag) => {
      const label = document.createElement("span");
      label.className = "image-tag";
      label.dataset.imageTag = tag;
      const removeButton = document.createElement("button");
      removeButton.type = "button";
      removeButton.textContent = "✕";
      removeButton.setAttribute("aria-label", `Remove ${tag}`);
      removeButton.addEventListener("click", () => changeTag(api.remove, tag));
      label.append(tag, removeButton);
      return label;
    }),
  );
}

async function changeTag(operation, tag) {
  const id = openId;
  try {
    const item = await operation(id, tag);
    if (openId === id) showTags(item);
  } catch (error) {
    byId("facts").textContent = error.message;
  }
}

async function step(distance) {
  const ids = [...shown.keys()];
  const index = ids.indexOf(openId) + distance;
  if (index >= ids.length) await next();
  const id = [...shown.keys()][index];
  if (id) go({ image: id }, true);
}

byId("close").addEventListener("click", () => go({ image: "" }));
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  go({ image: "" });
});
dialog.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
byId("add-tag").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = byId("new-tag");
  if (!input.value.trim()) return;
  await changeTag(api.apply, input.value);
  input.value = "";
});
