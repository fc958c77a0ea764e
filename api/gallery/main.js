// Entry point of the page: connects its modules; progress bar and library notices.

import * as api from "./api.js";
import * as chips from "./chips.js";
import * as live from "./live.js";
import * as pages from "./pages.js";
import { filter } from "./state.js";
import * as viewer from "./viewer.js";

// A page that was loaded before the media got another origin may not show them: load it again, with its present
// policy. After NGINX has revalidated its copy, which takes a second, and once a minute at most.
const RELOAD_DELAY_MS = 2000;
const RELOAD_EVERY_MS = 60000;
document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
  const last = Number(sessionStorage.getItem("policy-reload"));
  if (effectiveDirective !== "img-src" || Date.now() - last < RELOAD_EVERY_MS) return;
  sessionStorage.setItem("policy-reload", Date.now());
  setTimeout(() => location.reload(), RELOAD_DELAY_MS);
});

const bar = document.getElementById("progress");
const notice = document.getElementById("notice");
let libraries = [];
let shownFilter = null;

function showLibraries() {
  chips.showLibraries(libraries);
  const busy = libraries.filter(({ scanning, scan_total, scan_done }) => scanning && scan_done < scan_total);
  bar.hidden = busy.length === 0;
  bar.max = busy.reduce((sum, { scan_total }) => sum + scan_total, 0) || 1;
  bar.value = busy.reduce((sum, { scan_done }) => sum + scan_done, 0);
  const lines = [...libraries.flatMap(problems), ...libraries.map(leftOut).filter(Boolean)];
  if (busy.length) lines.push([`Indexing ${bar.value.toLocaleString()} of ${bar.max.toLocaleString()}`]);
  notice.replaceChildren(...lines.flatMap((line, index) => (index ? [" · ", ...line] : line)));
  notice.hidden = lines.length === 0;
}

/** The problems of a library, each as a text and a button for the remedy, if there is one. */
function problems({ _id, name, state, scan_error, removal_waiting, pending_approval }) {
  const lines = [];
  const suspended = state === "suspended";
  if (removal_waiting && !suspended) {
    const files = removal_waiting.toLocaleString();
    const line = [`${name}: ${files} files have gone; their images are kept. `];
    if (pending_approval) line.push(approveButton(_id, pending_approval, `Remove ${count(pending_approval)}`));
    lines.push(line);
  }
  if (suspended) {
    const line = [`${name}: ${scan_error} `];
    const label = pending_approval && `Use this folder, remove up to ${count(pending_approval)}`;
    if (pending_approval) line.push(approveButton(_id, pending_approval, label));
    lines.push(line);
  } else if (scan_error) lines.push([`${name}: ${scan_error}`]);
  return lines;
}

const count = ({ images }) => `${images.toLocaleString()} ${images === 1 ? "image" : "images"}`;

function approveButton(id, pending, label) {
  const button = document.createElement("button");
  button.textContent = label;
  button.addEventListener("click", () => {
    button.disabled = true;
    api.approve(id, pending._id).catch((error) => notice.replaceChildren(error.message));
  });
  return button;
}

/** How many files of a library failed, as a list that opens, are damaged, and were skipped, by kind. */
function leftOut({ _id, name, failed, damaged, skipped }) {
  const kinds = Object.entries(skipped).map(([suffix, count]) => `${count.toLocaleString()} ${suffix || "without suffix"}`);
  const parts = [
    failed && failedFiles(_id, failed),
    damaged && `${damaged.toLocaleString()} damaged`,
    kinds.length && `skipped: ${kinds.join(", ")}`,
  ].filter(Boolean);
  return parts.length ? [`${name}: `, ...parts.flatMap((part, index) => (index ? ["; ", part] : part))] : null;
}

// One element for each library: it stays open when the notice is rendered again.
const failedLists = new Map();

/** The failed files of a library, each with its reason and its file to download; loaded when opened. */
function failedFiles(id, failed) {
  const details = failedLists.get(id) ?? document.createElement("details");
  failedLists.set(id, details);
  if (details.dataset.failed === String(failed)) return details;
  details.dataset.failed = failed;
  const summary = document.createElement("summary");
  const list = document.createElement("ul");
  summary.textContent = `${failed.toLocaleString()} failed`;
  details.replaceChildren(summary, list);
  details.ontoggle = () => {
    if (!details.open) return;
    api.failedImages(id).then(
      ({ items }) => list.replaceChildren(...items.map(failedFile)),
      (error) => list.replaceChildren(error.message),
    );
  };
  if (details.open) details.ontoggle();
  return details;
}

function failedFile({ path, error, original }) {
  const item = document.createElement("li");
  item.append(`${path}: ${error}`);
  if (original) {
    const link = document.createElement("a");
    link.href = original;
    link.download = "";
    link.textContent = "Download";
    item.append(" ", link);
  }
  return item;
}

async function loadLibraries(changed) {
  if (changed) libraries = [...libraries.filter(({ _id }) => _id !== changed._id), changed];
  else libraries = await api.libraries().catch(() => libraries);
  showLibraries();
}

async function showView() {
  const currentFilter = filter().toString();
  if (currentFilter !== shownFilter) {
    shownFilter = currentFilter;
    chips.load();
    scrollTo({ top: 0 });
    await pages.restart();
  }
  await viewer.show();
}

addEventListener("view", showView);
addEventListener("popstate", () => dispatchEvent(new Event("view")));
loadLibraries();
pages.observeEnd();
live.subscribe(loadLibraries);
showView();
