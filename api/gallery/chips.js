// Tag filter chips with counts, and the library selector.

import * as api from "./api.js";
import { current, go } from "./state.js";

const nav = document.getElementById("tags");
const select = document.getElementById("libraries");
const suggestions = document.getElementById("known-tags");

let timer = 0;

/** Reload the counts, debounced: a burst of changes causes one request. */
export function refresh() {
  clearTimeout(timer);
  timer = setTimeout(load, 300);
}

/** Load the counts and render the chips. */
export async function load() {
  const tags = await api.tags(current().library).catch(() => []);
  const view = current();
  const chips = tags.map(({ _id, count }) => chip(_id, count, view.tags.includes(_id), () => toggle(_id)));
  const untagged = chip("Untagged", null, view.untagged, () => go({ untagged: !current().untagged, tags: [], image: "" }));
  nav.replaceChildren(...chips, untagged);
  suggestions.replaceChildren(...tags.map(({ _id }) => new Option(_id, _id)));
}

/** Fill the library selector; hidden with fewer than two libraries. @param {object[]} libraries */
export function showLibraries(libraries) {
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

function chip(text, count, pressed, onClick) {
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
  button.addEventListener("click", onClick);
  return button;
}
