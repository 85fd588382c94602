// Pictures and the answers to them.

const TOP = 5;

let queue = Promise.resolve();

/** Ask about `pictures`, files or addresses, one after the other; each gets a card. */
function recognize(pictures) {
  if (!pictures.length) return;
  if (location.hash) location.hash = ""; // the view of the answers
  const cards = pictures.map((picture) => {
    const card = copy("answer");
    preview(find("img", card), picture);
    enqueue(card, picture);
    return card;
  });
  find("#answers").prepend(...cards);
}

/** Answer `card` anew. `note` says what has changed since it was answered before. */
function enqueue(card, picture, note = "") {
  card.className = "";
  card.ariaBusy = "true";
  find("h2", card).textContent = "Looking …";
  find(".explanation", card).textContent = "";
  find(".note", card).textContent = note;
  find(".source", card).textContent = picture.name ?? picture.slice(0, 100);
  find(".ask", card).replaceChildren();
  for (const list of card.querySelectorAll("ol, ul")) list.replaceChildren();
  for (const mark of card.querySelectorAll(".face")) mark.remove();
  queue = queue.then(() => answer(card, picture));
}

/** Show the picture, where that takes no request to another host. */
function preview(image, picture) {
  image.addEventListener("load", () => (image.parentElement.hidden = false));
  if (picture instanceof File) image.src = URL.createObjectURL(picture);
  else if (picture.startsWith("data:")) image.src = picture;
}

/** Fill `card` with what the service says of `picture`. */
async function answer(card, picture) {
  const start = performance.now();
  try {
    const { content, headers } = await ask(picture);
    if (!content.faces) throw new Refusal({}); // something in between that answers in its own way
    const total = `answered in ${Math.round(performance.now() - start)} ms`;
    await find("img", card).decode().catch(() => {}); // boxes need its size; formats that the browser can't show have none
    showPrediction(card, picture, content);
    find(".source", card).append(` · ${[total, ...stages(headers)].join(" · ")}`);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    card.className = "problem";
    find("h2", card).textContent = "No answer";
    find(".explanation", card).textContent = refusal.message;
    if (refusal.code === "unauthorized") askForKey(() => enqueue(card, picture));
  }
  card.ariaBusy = "false";
  const words = [find(".note", card), find("h2", card)].map((element) => element.textContent).filter(Boolean);
  announce(`${words.join(" ")}. ${find(".explanation", card).textContent}`);
}

function ask(picture) {
  if (!(picture instanceof File)) return call("POST", "predict", { url: picture, top_k: TOP });
  const form = new FormData();
  form.append("file", picture);
  form.append("top_k", TOP);
  return call("POST", "predict/upload", form);
}

/** What the service says about its time. */
function stages(headers) {
  const timing = headers.get("Server-Timing") ?? "";
  const durations = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)];
  return durations.map(([, stage, time]) => `${stage} ${Math.round(time)} ms`);
}

function showPrediction(card, picture, prediction) {
  const { identity, similarity, threshold, predictions } = prediction;
  const faces = prediction.faces.length ? prediction.faces : [prediction];
  const image = find("img", card);
  const askWho = (face) => () => askWhose({ face, card, picture, sha256: prediction.sha256 });
  const askButton = (face) => makeButton(face.identity === null ? "Who is this?" : "Not this person?", askWho(face));
  card.className = identity === null ? "unknown" : "";
  find("h2", card).textContent = identity ?? UNKNOWN;
  find(".explanation", card).textContent =
    similarity === null
      ? "I know nobody yet."
      : `Similarity ${similarity.toFixed(2)}; a match needs ${threshold.toFixed(2)}.` +
        (identity === null ? " The nearest of those I know:" : "");
  find("ol", card).append(...Object.entries(predictions).map(bar));
  find(".ask", card).append(askButton(faces[0]));
  find("ul", card).append(...faces.slice(1).map((face) => further(face, askButton(face))));
  find("figure", card).append(...faces.map((face) => mark(face, image, askWho(face))));
}

function bar([name, share]) {
  const item = row(name, percent.format(share));
  item.style.setProperty("--share", share);
  return item;
}

function further({ identity, similarity }, button) {
  const item = row(identity ?? UNKNOWN, similarity === null ? "" : `similarity ${similarity.toFixed(2)}`);
  item.className = identity === null ? "unknown" : "";
  item.append(button);
  return item;
}

function row(text, figure) {
  const item = document.createElement("li");
  const value = document.createElement("span");
  value.textContent = figure;
  item.append(text, value);
  return item;
}

/** The name over the picture; on a box of `[x, y, width, height]` pixels where the service tells which face it is. */
function mark({ identity, box }, image, onClick) {
  const name = makeButton(identity ?? UNKNOWN, onClick);
  name.className = "face";
  name.title = "Say who this is";
  if (box) {
    const [x, y, width, height] = box.map((pixels, axis) => {
      const whole = axis % 2 ? image.naturalHeight : image.naturalWidth;
      return `${(100 * pixels) / whole}%`;
    });
    name.classList.add("boxed");
    name.classList.toggle("unknown", identity === null);
    Object.assign(name.style, { left: x, top: y, width, height });
  }
  return name;
}

find("#address").addEventListener("submit", (event) => {
  event.preventDefault();
  recognize([new URL(find("#url").value).href]);
});

find("#files").addEventListener("change", ({ target }) => {
  recognize([...target.files]);
  target.value = ""; // so that the same file can be chosen again
});

addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  recognize([...event.clipboardData.files]);
});

addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return; // an address goes into its field
  event.preventDefault();
  document.body.classList.add("dragging");
});

addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dragging");
});

addEventListener("drop", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.remove("dragging");
  recognize([...event.dataTransfer.files]);
});
