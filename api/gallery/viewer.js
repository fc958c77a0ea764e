// One image, large, with its tags.

import * as api from "./api.js";
import { link, shown } from "./grid.js";
import { next } from "./pages.js";
import { current, go } from "./state.js";

const at = (id) => document.getElementById(id);
const dialog = at("viewer");
let open = null;

/** Show the image that the URL names, or none. */
export async function show() {
  const { image } = current();
  if (!image) {
    if (dialog.open) dialog.close();
    link(open)?.focus();
    open = null;
    return;
  }
  open = image;
  if (!dialog.open) dialog.showModal();
  const item = shown.get(image);
  if (item) picture(item);
  try {
    const full = await api.image(image);
    if (open === image) details(full, !item);
  } catch (error) {
    at("name").textContent = error.message;
  }
}

/** The image changed elsewhere. @param {object} item */
export function changed(item) {
  if (item._id === open) tags(item);
}

function picture(item) {
  const img = at("picture");
  img.style.backgroundImage = item.thumb ? `url("${item.thumb}")` : "";
  img.removeAttribute("src");
  img.srcset = (item.variants || []).map(({ url, width }) => `${url} ${width}w`).join(", ");
  img.sizes = "100vw";
  img.alt = item.path.split("/").pop();
  at("name").textContent = item.path;
  at("facts").textContent = "";
  at("original").href = item.original || "";
  at("image-tags").replaceChildren();
}

function details(item, unknown) {
  if (unknown) picture(item);
  if (item.mime === "image/gif") {
    at("picture").srcset = "";
    at("picture").src = item.original;
  }
  const size = item.size >= 1e6 ? `${(item.size / 1e6).toFixed(1)} MB` : `${Math.ceil(item.size / 1e3)} kB`;
  const taken = item.taken_at ? new Date(item.taken_at).toLocaleString() : "";
  at("facts").textContent = [`${item.width} × ${item.height}`, size, taken, item.error].filter(Boolean).join(" · ");
  tags(item);
}

function tags(item) {
  at("image-tags").replaceChildren(
    ...item.tags.map((tag) => {
      const worn = document.createElement("span");
      worn.className = "worn";
      worn.dataset.worn = tag;
      const off = document.createElement("button");
      off.type = "button";
      off.textContent = "✕";
      off.setAttribute("aria-label", `Remove ${tag}`);
      off.addEventListener("click", () => change(api.remove, tag));
      worn.append(tag, off);
      return worn;
    }),
  );
}

async function change(how, tag) {
  const id = open;
  try {
    const answer = await how(id, tag);
    if (open === id) tags(answer);
  } catch (error) {
    at("facts").textContent = error.message;
  }
}

async function step(distance) {
  const ids = [...shown.keys()];
  const place = ids.indexOf(open) + distance;
  if (place >= ids.length) await next();
  const id = [...shown.keys()][place];
  if (id) go({ image: id }, true);
}

at("close").addEventListener("click", () => go({ image: "" }));
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  go({ image: "" });
});
dialog.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
at("add-tag").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = at("new-tag");
  if (!input.value.trim()) return;
  await change(api.apply, input.value);
  input.value = "";
});
