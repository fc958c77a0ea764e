// Renders the OpenAPI document: one entry per route, with its parameters, body and responses.

const METHODS = ["get", "post", "put", "patch", "delete"];
const notice = document.getElementById("notice");

/** An element with attributes and children; strings become text nodes, never HTML. */
function element(name, children = [], attributes = {}) {
  const created = document.createElement(name);
  created.append(...[children].flat());
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}

/** A schema in a short notation like `{name: string, tags?: [string, ...]}`. */
function brief(schema, schemas, depth = 0) {
  if (!schema) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 3 ? name : brief(schemas[name], schemas, depth);
  }
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.map((choice) => brief(choice, schemas, depth)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `[${brief(schema.items, schemas, depth)}, ...]`;
  if (schema.type !== "object") return schema.format || schema.type || "anything";
  return members(schema, schemas, depth);
}

function members(schema, schemas, depth) {
  const indent = "  ".repeat(depth + 1);
  const required = new Set(schema.required || []);
  const lines = Object.entries(schema.properties || {}).map(
    ([name, inner]) => `${indent}${name}${required.has(name) ? "" : "?"}: ${brief(inner, schemas, depth + 1)}`,
  );
  return lines.length ? `{\n${lines.join(",\n")}\n${"  ".repeat(depth)}}` : "{...}";
}

function range({ minimum, maximum, minLength, maxLength, maxItems, default: preset }) {
  const parts = [];
  if (minimum !== undefined || maximum !== undefined) parts.push(`${minimum ?? "..."} to ${maximum ?? "..."}`);
  if (maxLength !== undefined) parts.push(`${minLength ?? 0} to ${maxLength} characters`);
  if (maxItems !== undefined) parts.push(`at most ${maxItems}`);
  if (preset !== undefined) parts.push(`default: ${preset}`);
  return parts.join(", ");
}

const code = (text) => element("code", text);
const cells = (values) => element("tr", values.map((value) => element("td", value)));

function parameters(list, schemas) {
  if (!list.length) return [];
  const rows = list.map(({ name, in: location, schema, description = "" }) =>
    cells([code(name), location, code(brief(schema, schemas)), [description, range(schema)].filter(Boolean).join(" ")]),
  );
  return [element("h3", "Parameters"), element("table", element("tbody", rows))];
}

function content(bodies, schemas) {
  return Object.entries(bodies || {}).map(([mediaType, { schema }]) =>
    element("pre", `${mediaType}\n${brief(schema, schemas)}`),
  );
}

function responseEntries(responses, components) {
  return Object.entries(responses).flatMap(([status, value]) => {
    const response = value.$ref ? components.responses[value.$ref.split("/").pop()] : value;
    const headers = Object.entries(response.headers || {}).map(([name, { description }]) => `${name}: ${description}`);
    const title = `${status === "default" ? "Errors" : status}: ${[response.description, ...headers].join(" ")}`;
    return [element("h3", title), ...content(response.content, components.schemas)];
  });
}

function entry(method, path, operation, components) {
  const heading = [element("b", method.toUpperCase()), code(path), element("span", operation.summary)];
  const body = operation.requestBody;
  return element("details", [
    element("summary", heading),
    ...parameters(operation.parameters, components.schemas),
    ...(body ? [element("h3", "Body"), ...content(body.content, components.schemas)] : []),
    ...responseEntries(operation.responses, components),
  ]);
}

function show({ paths, components }) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const [group] = methods[method].tags;
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(entry(method, path, methods[method], components));
    }
  }
  for (const [group, entries] of groups) {
    document.getElementById("groups").append(element("a", group, { href: `#${group}`, class: "chip" }));
    document.getElementById("operations").append(element("h2", group, { id: group }), ...entries);
  }
}

try {
  const response = await fetch("/api/openapi.json");
  if (!response.ok) throw new Error(`${response.status}`);
  show(await response.json());
} catch (error) {
  notice.textContent = `The API description could not be loaded: ${error.message}`;
  notice.hidden = false;
}
