// Wiring of the page.

import * as api from "./api.js";
import * as chips from "./chips.js";
import * as live from "./live.js";
import * as pages from "./pages.js";
import { filter } from "./state.js";
import * as viewer from "./viewer.js";

const bar = document.getElementById("progress");
const notice = document.getElementById("notice");
let libraries = [];
let seen = null;

function showLibraries() {
  chips.offer(libraries);
  const busy = libraries.filter(({ scanning, scan_total, scan_done }) => scanning && scan_done < scan_total);
  bar.hidden = busy.length === 0;
  bar.max = busy.reduce((sum, { scan_total }) => sum + scan_total, 0) || 1;
  bar.value = busy.reduce((sum, { scan_done }) => sum + scan_done, 0);
  const lines = libraries.flatMap(troubles);
  if (busy.length) lines.push([`Indexing ${bar.value.toLocaleString()} of ${bar.max.toLocaleString()}`]);
  notice.replaceChildren(...lines.flatMap((line, place) => (place ? [" · ", ...line] : line)));
  notice.hidden = lines.length === 0;
}

/** What is wrong with a library, each with what can be done about it. */
function troubles({ _id, name, state, scan_error, removal_waiting }) {
  const found = [];
  if (removal_waiting) {
    const files = removal_waiting.toLocaleString();
    found.push([`${name}: ${files} files have gone; their images are kept. `, approval(_id, "Remove them")]);
  }
  if (state === "suspended") found.push([`${name}: ${scan_error} `, approval(_id, "It is right as it is")]);
  else if (scan_error) found.push([`${name}: ${scan_error}`]);
  return found;
}

function approval(id, label) {
  const button = document.createElement("button");
  button.textContent = label;
  button.addEventListener("click", () => {
    button.disabled = true;
    api.approve(id).catch((error) => notice.replaceChildren(error.message));
  });
  return button;
}

async function loadLibraries(changed) {
  if (changed) libraries = [...libraries.filter(({ _id }) => _id !== changed._id), changed];
  else libraries = await api.libraries().catch(() => libraries);
  showLibraries();
}

async function view() {
  const asked = filter().toString();
  if (asked !== seen) {
    seen = asked;
    chips.load();
    scrollTo({ top: 0 });
    await pages.restart();
  }
  await viewer.show();
}

addEventListener("view", view);
addEventListener("popstate", () => dispatchEvent(new Event("view")));
loadLibraries();
pages.begin();
live.listen(loadLibraries);
view();
