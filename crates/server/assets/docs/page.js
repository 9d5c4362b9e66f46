// Draws openapi.json: paths by app, with what each takes and answers, and a form to try it. The token is a
// variable of this page: it is stored nowhere. Texts are set as texts, never as HTML.

const SHOWN_BYTES_MAX = 200_000;
const here = (id) => document.getElementById(id);
let token = "";

/** An element with attributes and children; texts become text nodes. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A text in which back ticks mark code. */
function prose(text) {
  return text.split("\n\n").map((paragraph) =>
    make("p", {}, paragraph.split(/`([^`]*)`/).map((part, index) => (index % 2 ? make("code", {}, part) : part))));
}

function resolver(document_) {
  return (node) => {
    let found = node;
    while (found?.$ref) {
      found = found.$ref.slice(2).split("/").reduce((at, key) => at?.[key], document_);
    }
    return found ?? {};
  };
}

/** A schema in a few words: `integer 1 to 36`. */
function words(schema, resolve) {
  const known = resolve(schema);
  if (known.enum) return known.enum.map(String).join(" | ");
  if (known.anyOf) return known.anyOf.map((one) => words(one, resolve)).join(" or ");
  const type = [known.type].flat().filter(Boolean).join(" or ") || "any";
  const told = [known.format && !["int64", "double"].includes(known.format) ? known.format : type];
  const shown = (bound) => bound != null && Math.abs(bound) < 2 ** 62;
  if (shown(known.minimum) && shown(known.maximum)) told.push(`${known.minimum} to ${known.maximum}`);
  else if (shown(known.minimum)) told.push(`from ${known.minimum}`);
  else if (shown(known.maximum)) told.push(`up to ${known.maximum}`);
  return told.join(" ");
}

/** The shape of an answer, a line a field. */
function sketch(schema, resolve, indent = "") {
  const known = resolve(schema);
  if ("const" in known) return JSON.stringify(known.const);
  if (known.oneOf) return known.oneOf.map((one) => sketch(one, resolve, indent)).join(" or ");
  const types = [known.type].flat();
  if (known.properties && types.includes("object")) {
    const more = `${indent}  `;
    const lines = Object.entries(known.properties).map(([name, of]) => `${more}${JSON.stringify(name)}: ${sketch(of, resolve, more)}`);
    return lines.length ? `{\n${lines.join(",\n")}\n${indent}}` : "{}";
  }
  if (types.includes("array")) {
    const of = known.items ?? known.prefixItems?.[0] ?? {};
    return `[${sketch(of, resolve, indent)}, …]`;
  }
  if (types.includes("object") && known.additionalProperties) return `{"…": ${sketch(known.additionalProperties, resolve, indent)}, …}`;
  return types.filter(Boolean).join(" or ") || "any";
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function address(path, parameters, values) {
  let filled = path;
  const query = new URLSearchParams();
  for (const parameter of parameters) {
    const value = values[parameter.name] ?? "";
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value !== "") query.append(parameter.name, value);
  }
  const asked = query.toString();
  return asked ? `${filled}?${asked}` : filled;
}

function curl(verb, path, open, body) {
  const parts = ["curl"];
  if (verb !== "get") parts.push(`-X ${verb.toUpperCase()}`);
  if (!open) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (body != null) parts.push('-H "Content-Type: application/json"', `-d ${quoted(body)}`);
  parts.push(quoted(new URL(path, location.origin).href));
  return parts.join(" \\\n  ");
}

function table(heads, rows) {
  return make("div", { class: "scroll" }, make("table", { class: "stack" },
    make("thead", {}, make("tr", {}, heads.map((head) => make("th", {}, head)))),
    make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell)))))));
}

function parameterTable(parameters, resolve) {
  return table(["parameter", "allowed", "about"], parameters.map((parameter) => {
    const schema = resolve(parameter.schema);
    const allowed = [words(schema, resolve)];
    if (schema.default != null) allowed.push(`default ${schema.default}`);
    if (parameter.in === "path") allowed.push("in the path");
    return [
      [make("code", {}, parameter.name), parameter.required ? make("span", { class: "must", title: "required" }, " *") : null],
      allowed.join(" · "),
      prose(parameter.description ?? ""),
    ];
  }));
}

function refusalTable(responses) {
  const rows = Object.entries(responses).filter(([, response]) => response["x-ebbtide-codes"]);
  return table(["status", "code"], rows.map(([status, response]) => [make("strong", {}, status), prose(response.description)]));
}

/** The form that asks, and what came back. */
function tryIt(verb, path, operation, parameters, resolve, example) {
  const open = operation.security?.length === 0;
  const fields = parameters.map((parameter) => {
    const schema = resolve(parameter.schema);
    const choices = schema.enum ?? (schema.type === "boolean" ? [true, false] : null);
    const value = parameter.in === "path" ? String(parameter.example ?? schema.enum?.[0] ?? "") : "";
    const field = choices
      ? make("select", { name: parameter.name }, parameter.required ? null : make("option", { value: "" }, "—"),
        choices.map((choice) => make("option", { value: String(choice), selected: String(choice) === value }, String(choice))))
      : make("input", { name: parameter.name, value, placeholder: String(schema.default ?? ""), required: parameter.required, autocomplete: "off" });
    return make("label", {}, make("span", {}, parameter.name, parameter.required ? make("span", { class: "must" }, " *") : null), field);
  });
  const body = example == null ? null : make("textarea", { name: "body", spellcheck: "false" });
  if (body) body.value = JSON.stringify(example, null, 2);
  const answer = make("div", { "aria-live": "polite" });
  const command = make("pre", { class: "wrap" });
  const form = make("form", {}, fields, body && make("label", { class: "wide" }, "body", body),
    make("div", {}, make("button", { type: "submit" }, "Send")));
  const asked = () => address(path, parameters, Object.fromEntries(new FormData(form)));
  const tell = () => { command.textContent = curl(verb, asked(), open, body && JSON.stringify(parsed(body.value) ?? body.value)); };
  form.addEventListener("input", tell);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(verb, asked(), open, body?.value, answer);
  });
  tell();
  return [make("h3", {}, "Example"), command, make("h3", {}, "Try it"), form, answer];
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

async function send(verb, path, open, body, answer) {
  answer.replaceChildren(make("p", { class: "soft" }, "Asking …"));
  const headers = {};
  if (!open && token) headers.Authorization = `Bearer ${token}`;
  if (body != null) headers["Content-Type"] = "application/json";
  const began = performance.now();
  try {
    const response = await fetch(path, { method: verb.toUpperCase(), headers, body, cache: "no-store", credentials: "omit" });
    const blob = await response.blob();
    const ms = Math.round(performance.now() - began);
    answer.replaceChildren(...(await shown(response, blob, ms)));
  } catch (error) {
    answer.replaceChildren(make("p", { class: "failed" }, `No answer: ${error.message}`));
  }
}

async function shown(response, blob, ms) {
  const told = [`${ms} ms`, `${blob.size.toLocaleString("en")} bytes`];
  for (const name of ["content-type", "x-cache", "age", "x-request-id"]) {
    const value = response.headers.get(name);
    if (value) told.push(`${name}: ${value}`);
  }
  const status = make("p", {},
    make("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
    make("span", { class: "soft" }, ` · ${told.join(" · ")}`));
  const name = /filename="([^"]*)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
  const link = name && make("p", {}, make("a", { href: URL.createObjectURL(blob), download: name }, `Save ${name}`));
  const type = response.headers.get("content-type") ?? "";
  if (!/json|csv|text|svg/.test(type)) return [status, link].filter(Boolean);
  const text = await blob.slice(0, SHOWN_BYTES_MAX).text();
  const json = blob.size <= SHOWN_BYTES_MAX && type.includes("json") && !type.includes("ndjson") ? parsed(text) : undefined;
  const more = blob.size > SHOWN_BYTES_MAX ? "\n…" : "";
  return [status, link, make("pre", {}, json === undefined ? text + more : JSON.stringify(json, null, 2))].filter(Boolean);
}

function operationCard(path, verb, operation, resolve) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const content = operation.requestBody?.content?.["application/json"];
  const answer = operation.responses["200"];
  const schema = answer?.content?.["application/json"]?.schema;
  const files = Object.keys(answer?.content ?? {}).filter((type) => type !== "application/json");
  const roles = operation["x-ebbtide-roles"] ?? (operation.security?.length === 0 ? ["no token"] : ["any role"]);
  const card = make("details", { id: operation.operationId },
    make("summary", {},
      make("span", { class: `verb ${verb}` }, verb.toUpperCase()),
      make("code", {}, path),
      make("span", { class: "what" }, operation.summary),
      roles.map((role) => make("span", { class: "role" }, role))));
  // Drawn when it is opened: a server may have hundreds of paths.
  card.addEventListener("toggle", () => {
    if (!card.open || card.querySelector(".inside")) return;
    card.append(make("div", { class: "inside" },
      prose(operation.description ?? ""),
      parameters.length ? [make("h3", {}, "Parameters"), parameterTable(parameters, resolve)] : null,
      content ? [make("h3", {}, "Body"), prose(resolve(content.schema).description ?? ""), make("pre", {}, sketch(content.schema, resolve))] : null,
      make("h3", {}, "Answer"), prose(answer?.description ?? ""),
      files.length && schema ? make("p", { class: "soft" }, "Also as ", files.map((type, index) => [index ? ", " : "", make("code", {}, type)]).flat()) : null,
      schema ? make("pre", {}, sketch(schema, resolve)) : null,
      tryIt(verb, path, operation, parameters, resolve, content?.example),
      make("h3", {}, "Refusals"), refusalTable(operation.responses)));
  });
  card.dataset.text = [path, operation.summary, operation.description, ...roles, operation.operationId,
    ...Object.values(operation.responses).flatMap((response) => response["x-ebbtide-codes"] ?? [])].join(" ").toLowerCase();
  return card;
}

function draw(document_) {
  const resolve = resolver(document_);
  here("version").textContent = document_.info.version;
  here("about").replaceChildren(...prose(document_.info.description).flatMap((paragraph) => [...paragraph.childNodes]));
  const cards = new Map(document_.tags.map((tag) => [tag.name, []]));
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [verb, operation] of Object.entries(item)) {
      cards.get(operation.tags[0])?.push(operationCard(path, verb, operation, resolve));
    }
  }
  const sections = document_.tags.map((tag, index) => make("section", { id: `group-${index}` },
    make("h2", {}, tag.name), make("p", { class: "soft" }, tag.description ?? ""), cards.get(tag.name)));
  here("paths").replaceChildren(...sections, make("p", { id: "none", class: "soft", hidden: true }, "Nothing has these words."));
  here("tags").replaceChildren(...document_.tags.map((tag, index) =>
    make("a", { href: `#group-${index}` }, tag.name, make("span", {}, ` ${cards.get(tag.name).length}`))));
}

function find(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of document.querySelectorAll("main section")) {
    let inSection = 0;
    for (const card of section.querySelectorAll("details")) {
      const fits = wanted.every((word) => card.dataset.text.includes(word));
      card.hidden = !fits;
      inSection += fits ? 1 : 0;
    }
    section.hidden = inSection === 0;
    found += inSection;
  }
  here("none").hidden = found > 0;
}

function openNamed() {
  const card = here(decodeURIComponent(location.hash.slice(1)));
  if (card?.tagName === "DETAILS") {
    card.open = true;
    card.scrollIntoView();
  }
}

here("token").addEventListener("input", (event) => { token = event.target.value.trim(); });
here("find").addEventListener("input", (event) => find(event.target.value));
addEventListener("hashchange", openNamed);

try {
  const response = await fetch("openapi.json", { credentials: "omit" });
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  draw(await response.json());
  openNamed();
} catch (error) {
  here("paths").replaceChildren(make("p", { class: "failed" }, `openapi.json cannot be read: ${error.message}`));
}
