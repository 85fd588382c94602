// The faces of an answered picture: each has an entry in the list and a box in the picture, which belong together.

const NEAREST = 3; // people who are named as nearest to an unknown person

/**
 * How sure the service is that a face is the person's whom it names: the rule.
 *
 * A similarity at the threshold is just enough, 1 is the most there is. From a fifth of the way on it is "sure": of 600
 * validation images of people whom the shipped models don't know, they are sure of one.
 */
function sureness({ similarity, threshold }) {
  return similarity - threshold >= 0.2 * (1 - threshold) ? "sure" : "fairly sure";
}

/** Faces in rows from above, each from the left. A face that begins above the middle of a row's first is in that row. */
function inReadingOrder(faces) {
  const middle = ({ shown: [, top, , height] }) => top + height / 2;
  const rows = [];
  for (const face of [...faces].sort((a, b) => middle(a) - middle(b))) {
    const row = rows.at(-1);
    if (row && face.shown[1] < middle(row[0])) row.push(face);
    else rows.push([face]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.shown[0] - b.shown[0]));
}

/** The entry of the face `number` in the list. `single` is the only face of its picture, which the heading names. */
function faceEntry(face, number, single, onAsk) {
  const { identity, similarity, predictions } = face;
  const entry = copy("face");
  const unknown = identity === null;
  entry.classList.toggle("unknown", unknown);
  find(".number", entry).textContent = number;
  find("bdi", entry).textContent = identity ?? UNKNOWN;
  find(".number", entry).hidden = find("bdi", entry).hidden = single;
  const words = unknown ? "" : sureness(face);
  find(".sure", entry).hidden = unknown;
  find(".meter", entry).classList.toggle("full", words === "sure");
  find(".sure span:last-child", entry).textContent = words;
  find(".nearest", entry).hidden = !unknown || similarity === null;
  const nearest = Object.keys(predictions).slice(0, NEAREST);
  find(".nearest ol", entry).append(...nearest.map((name) => wrapped("li", make("bdi", name))));
  find("div", entry).append(makeButton(unknown ? "Name this person" : "Wrong person?", onAsk));
  return entry;
}

/** The box of the face in the picture, a button, and its tag with number and name. */
function faceMark(face, number, single, onClick) {
  const name = face.identity ?? UNKNOWN;
  const mark = makeButton("", onClick);
  mark.className = "face";
  mark.ariaLabel = single ? name : `${number}: ${name}`;
  mark.title = `${mark.ariaLabel}. Say who this is`;
  const [left, top, width, height] = face.shown.map((fraction) => `${100 * fraction}%`);
  Object.assign(mark.style, { left, top, width, height });
  const tag = make("span", "", "tag");
  tag.ariaHidden = "true"; // the mark says the same
  if (!single) tag.append(make("b", number));
  if (face.identity !== null) tag.append(make("bdi", name));
  for (const element of [mark, tag]) element.classList.toggle("unknown", face.identity === null);
  return [mark, tag];
}

/** Light up all `elements` of a face while the pointer or the focus is on one of them. */
function tieTogether(elements) {
  const light = (lit) => () => elements.forEach((element) => element.classList.toggle("lit", lit));
  for (const element of elements) {
    for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, light(true));
    for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, light(false));
  }
}
