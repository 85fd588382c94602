// What the whole page shares: words, and requests to the service.

const UNKNOWN = "Unknown person";

// The service explains its errors to who calls it; these do for who only wants to try a picture.
const EXPLANATIONS = {
  unauthorized: "This service asks for its API key. Enter it above.",
  url_not_allowed: "I don't fetch from there: the address has to be a public one of http:// or https://, and not too long.",
  invalid_data_url: "This data: address is not complete. Copy all of it.",
  unreachable: "I can't reach the server at this address. Is it spelled right?",
  upstream_encoding: "The server at this address sends the picture in a form that I don't read.",
  unsupported_picture: "This is not a picture that I can read. A whole JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file works.",
  overloaded: "Too many people are asking right now. Try again in a moment.",
  no_answer: "I can't reach the service. Check your connection and try again in a moment.",
};

// These are followed by the service's own words, which name the limit.
const LIMITS = {
  picture_too_large: "This file is too large for me. Try a smaller version of the picture.",
  request_too_large: "This file is too large for me. Try a smaller version of the picture.",
  too_many_pixels: "This picture has too many pixels for me. Try a smaller version of it.",
};

const find = (selector, within = document) => within.querySelector(selector);
const wholePercent = new Intl.NumberFormat("en", { style: "percent" });
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const plural = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

/** A copy of what the template `id` holds. */
const copy = (id) => find(`template#${id}`).content.cloneNode(true).firstElementChild;

/** An element with this text. */
function make(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

/** An element with this content. */
function wrapped(tag, ...content) {
  const element = document.createElement(tag);
  element.append(...content);
  return element;
}

function makeButton(text, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", onClick);
  return button;
}

/** Announce `text` to those who can't see the page. */
function announce(text) {
  find("[role=status]").textContent = text;
}

/** The service did not do what it was asked for. `detail` is in its own words, `message` in those of the page. */
class Refusal extends Error {
  constructor({ code = "no_answer", detail, picture }) {
    super(LIMITS[code] ? `${LIMITS[code]} ${detail}` : (EXPLANATIONS[code] ?? detail ?? EXPLANATIONS.no_answer));
    this.code = code;
    this.detail = detail ?? this.message;
    this.picture = picture;
  }
}

let apiKey = ""; // as it was entered last

/** Send a request with a body of JSON or a form: the JSON of the answer, and its headers. Throws a Refusal. */
async function call(method, path, body) {
  const key = apiKey;
  const form = body instanceof FormData;
  const headers = {
    ...(key && { Authorization: `Bearer ${key}` }),
    ...(body && !form && { "Content-Type": "application/json" }),
  };
  let response;
  let content;
  try {
    response = await fetch(path, { method, headers, body: form ? body : JSON.stringify(body) });
    content = response.status === 204 ? {} : await response.json();
  } catch { // no connection, or something in between that answers in its own way
    throw new Refusal({});
  }
  if (response.status === 401 && key !== apiKey) return call(method, path, body); // it was entered in the meantime
  if (!response.ok) throw new Refusal(content ?? {});
  find("#unlock").hidden = !locked.length;
  return { content, headers: response.headers };
}

const locked = []; // what is to be done again once the key is there

/** Ask for the key, and `retry` when it was entered. */
function askForKey(retry) {
  locked.push(retry);
  find("#unlock").hidden = false;
  find("#key").focus();
}

find("#unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey = find("#key").value;
  for (const retry of locked.splice(0)) retry();
});
