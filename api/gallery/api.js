// API client. Errors carry the `detail` of the problem response.

import { withUrls } from "./media.js";

/** The JSON body of a response. @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
async function fetchJson(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail || body.title || `${response.status}`);
  return body;
}

const post = (path, body) =>
  fetchJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** A page of images with their media URLs. @param {URLSearchParams} filter @param {?string} after a cursor */
export const images = async (filter, after) => {
  const query = new URLSearchParams(filter);
  query.set("limit", "60");
  if (after) query.set("after", after);
  const page = await fetchJson(`/api/images?${query}`);
  return { ...page, items: page.items.map((item) => withUrls(item, page.media)) };
};
/** The newest failed images of a library. @param {string} library */
export const failedImages = (library) => fetchJson(`/api/images?state=failed&limit=60&library_id=${library}`);
export const image = (id) => fetchJson(`/api/images/${id}`);
export const libraries = () => fetchJson("/api/libraries");
/** Approve what was shown. @param {string} id a library @param {string} pending `_id` of its pending_approval */
export const approve = (id, pending) => post(`/api/libraries/${id}/approve`, { pending_approval: pending });
export const tags = (library) => fetchJson(`/api/tags?limit=200${library ? `&library_id=${library}` : ""}`);
export const apply = (id, tag) => post(`/api/tags/apply/${id}`, [tag]);
export const remove = (id, tag) => post(`/api/tags/remove/${id}`, [tag]);
