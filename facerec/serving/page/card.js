// A picture and the answer to it: a card.

const NAMED = 5; // of the most similar people, for each face

let queue = Promise.resolve();
const answered = new WeakMap(); // what the service said of the picture of a card

/** The card of a picture, a file or an address, that is asked about next. */
function makeCard(picture) {
  const card = copy("answer");
  const figure = find("figure", card);
  const image = find("img", card);
  image.addEventListener("load", () => {
    const { naturalWidth, naturalHeight } = image;
    figure.style.setProperty("--across", naturalWidth);
    figure.style.setProperty("--down", naturalHeight);
    find(".layout", card).classList.toggle("beside", naturalWidth <= 2 * naturalHeight); // the list, else it is under
    figure.hidden = false;
  });
  find(".enlarge", card).addEventListener("click", () => {
    if (zoom.open) closeZoom();
    else if (card.ariaBusy !== "true") enlarge(figure);
  });
  tagPlacer.observe(figure);
  if (picture instanceof File) { // until the service shows what it read
    const url = URL.createObjectURL(picture);
    const release = () => URL.revokeObjectURL(url);
    for (const event of ["load", "error"]) image.addEventListener(event, release, { once: true });
    image.src = url;
  }
  find(".source", card).textContent = picture.name ?? picture.slice(0, 100);
  enqueue(card, picture);
  return card;
}

/**
 * Answer `card` anew. `note` says what has changed since it was answered before. `framing` is that of the service,
 * unless it is asked for another.
 */
function enqueue(card, picture, note = "", framing = undefined) {
  card.className = "";
  card.ariaBusy = "true";
  answered.delete(card);
  find("h2", card).textContent = "Looking …";
  find(".note", card).textContent = note;
  for (const text of card.querySelectorAll(".explanation, .times")) text.textContent = "";
  for (const list of card.querySelectorAll(".faces, .ask, tbody")) list.replaceChildren();
  for (const mark of card.querySelectorAll(".face, .tag")) mark.remove();
  find(".figures", card).hidden = true;
  queue = queue.then(() => card.isConnected && answer(card, picture, framing));
}

/** Fill `card` with what the service says of `picture`. */
async function answer(card, picture, framing) {
  const start = performance.now();
  try {
    const { content, headers } = await ask(picture, framing);
    if (!content.faces) throw new Refusal({}); // something in between that answers in its own way
    const total = `answered in ${Math.round(performance.now() - start)} ms`;
    await showPrediction(card, picture, content);
    find(".times", card).textContent = [total, ...stages(headers)].join(" · ");
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.code === "no_face") showNoFace(card, picture, refusal.picture);
    else showProblem(card, refusal);
    if (refusal.code === "unauthorized") askForKey(() => enqueue(card, picture, "", framing));
  }
  card.ariaBusy = "false";
  if (card.isConnected) announceAnswer(card);
}

function ask(picture, framing) {
  const fields = { top_k: NAMED, picture: true, ...(framing && { framing }) };
  if (!(picture instanceof File)) return call("POST", "predict", { url: picture, ...fields });
  const form = new FormData();
  form.append("file", picture);
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  return call("POST", "predict/upload", form);
}

/** What the service says about its time. */
function stages(headers) {
  const timing = headers.get("Server-Timing") ?? "";
  const durations = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)];
  return durations.map(([, stage, time]) => `${stage} ${Math.round(time)} ms`);
}

async function showPrediction(card, picture, prediction) {
  const image = find("img", card);
  image.src = await turnBack(prediction.picture, prediction.turned);
  await image.decode();
  const places = prediction.faces.map((face) => ({ ...face, shown: shownBox(face.box, prediction) }));
  const faces = places.length ? inReadingOrder(places) : [prediction];
  const single = faces.length === 1;
  card.className = single && faces[0].identity === null ? "unknown" : "";
  find("h2", card).replaceChildren(make("bdi", headline(faces)));
  find(".explanation", card).textContent = explanation(prediction);
  faces.forEach((face, index) => {
    const askWho = () => {
      closeZoom();
      askWhose({ face, card, picture, sha256: prediction.sha256 });
    };
    const entry = faceEntry(face, index + 1, single, askWho);
    const mark = face.shown ? faceMark(face, index + 1, single, askWho) : [];
    find(".faces", card).append(entry);
    find("figure", card).append(...mark);
    tieTogether([entry, ...mark]);
  });
  placeTags(find("figure", card));
  find("tbody", card).append(...faces.map(figuresRow));
  find(".figures", card).hidden = false;
  answered.set(card, { source: find(".source", card).textContent, ...prediction, picture: undefined });
}

/** Who is in the picture, in a few words. */
function headline(faces) {
  if (faces.length === 1) return faces[0].identity ?? UNKNOWN;
  return `${faces.filter(({ identity }) => identity !== null).length} of ${faces.length} faces recognized`;
}

function explanation({ faces, faces_found: found, similarity, turned }) {
  return [
    found > faces.length ? `${faces.length} of ${found} faces shown, the most prominent ones.` : "",
    turned ? "The picture lies on its side or upside down; I turned it." : "",
    similarity === null ? "Nobody is known yet." : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** The figures behind the answer for one face, for those who want to know. */
function figuresRow({ top_class: nearest, similarity, threshold, predictions }, index) {
  const likely = Object.entries(predictions).filter(([, probability]) => probability >= 0.005);
  const listed = likely.map(([name, probability]) =>
    wrapped("div", make("bdi", name), ` ${wholePercent.format(probability)}`),
  );
  const cells = [index + 1, nearest ?? "nobody", similarity?.toFixed(3) ?? "", threshold.toFixed(3)];
  return wrapped("tr", ...cells.map((text) => make("td", text)), wrapped("td", ...listed));
}

function showNoFace(card, picture, shown) {
  if (shown) find("img", card).src = shown;
  find("h2", card).textContent = "No face found";
  find(".explanation", card).textContent =
    "A picture in which a face is larger and upright works better. If this one shows little more than a face, I can " +
    "take its middle as it is.";
  find(".ask", card).append(makeButton("Take the middle", () => enqueue(card, picture, "", "centre")));
}

function showProblem(card, refusal) {
  card.className = "problem";
  find("h2", card).textContent = "No answer";
  find(".explanation", card).textContent = refusal.message;
}

/** Tell the answer to those who can't see it. */
function announceAnswer(card) {
  const parts = [".note", "h2", ".explanation"].map((selector) => find(selector, card).textContent);
  const names = [...card.querySelectorAll(".faces > li > div > bdi:not([hidden])")].map(({ textContent }) => textContent);
  const sentences = [...parts, names.join(", ")].filter(Boolean);
  announce(sentences.map((text) => text.replace(/\.?$/, ".")).join(" "));
}
