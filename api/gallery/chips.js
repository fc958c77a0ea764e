// Tag chips with counts, and the choice of library.

import * as api from "./api.js";
import { current, go } from "./state.js";

const nav = document.getElementById("tags");
const select = document.getElementById("libraries");
const known = document.getElementById("known-tags");

let timer = 0;

/** Fetch the counts again, soon: bursts of changes ask once. */
export function refresh() {
  clearTimeout(timer);
  timer = setTimeout(load, 300);
}

/** Fetch the counts and draw them. */
export async function load() {
  const tags = await api.tags(current().library).catch(() => []);
  const view = current();
  const chips = tags.map(({ _id, count }) => chip(_id, count, view.tags.includes(_id), () => toggle(_id)));
  const untagged = chip("Untagged", null, view.untagged, () => go({ untagged: !current().untagged, tags: [], image: "" }));
  nav.replaceChildren(...chips, untagged);
  known.replaceChildren(...tags.map(({ _id }) => new Option(_id, _id)));
}

/** Offer the libraries where there are several. @param {object[]} libraries */
export function offer(libraries) {
  select.hidden = libraries.length < 2;
  const options = [new Option("All libraries", ""), ...libraries.map(({ _id, name }) => new Option(name, _id))];
  select.replaceChildren(...options);
  select.value = current().library;
}

select.addEventListener("change", () => go({ library: select.value, image: "" }));

function toggle(tag) {
  const { tags } = current();
  go({ tags: tags.includes(tag) ? tags.filter((other) => other !== tag) : [...tags, tag], untagged: false, image: "" });
}

function chip(text, count, pressed, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.dataset.tag = text;
  button.setAttribute("aria-pressed", String(pressed));
  button.append(text);
  if (count !== null) {
    const number = document.createElement("small");
    number.textContent = ` ${count.toLocaleString()}`;
    button.append(number);
  }
  button.addEventListener("click", act);
  return button;
}
