// Whose face it is: enrol it from an answered picture, or correct what it was enrolled as.

const enrollingOff = find("#enrolling").textContent; // the service's words, or nothing
let people = []; // as the service listed them last

/** Read whom the service knows, and suggest these names. */
async function readPeople() {
  ({ people } = (await call("GET", "people")).content);
  const options = people.map(({ name }) => {
    const option = document.createElement("option");
    option.value = name;
    return option;
  });
  find("#names").replaceChildren(...options);
}

/** The enrolled person who has this name, as the service compares names. */
function enrolledAs(name) {
  const canonical = (text) => text.normalize("NFC").replace(/[_\s]+/g, " ").trim();
  return people.find((person) => person.id && canonical(person.name) === canonical(name));
}

/** Ask whose `face` of an answered picture it is. */
function askWhose(asked) {
  const { face, card, picture } = asked;
  if (enrollingOff) {
    openDialog({ heading: "Who is this?", text: enrollingOff });
    return;
  }
  attempt(async () => {
    await readPeople();
    const sample = await findSample(asked);
    openDialog({
      heading: "Who is this?",
      name: "",
      picture: drawing(asked),
      consent: true,
      done: (note) => {
        enqueue(card, picture, note);
        card.focus();
      },
      ...(sample ? correction(asked, sample) : enrolment(asked)),
    });
  });
}

/** What to ask where the face is not a sample yet. */
function enrolment({ face, picture }) {
  const run = async (name, force) => {
    const { content } = await enrol(name, { face, picture, force });
    return `Enrolled as ${content.name}.`;
  };
  const taken = `It was taken for ${face.identity}, but not enrolled from this picture.`;
  return {
    text: face.identity === null ? "" : `${taken} Say who it is, and it is enrolled for the right person.`,
    actions: [
      { label: "Enrol", run: (name) => run(name, false) },
      { label: "Enrol anyway", after: ["unlike_person", "like_another_person"], run: (name) => run(name, true) },
    ],
  };
}

/** What to ask where the face of this very picture is a sample of somebody. */
function correction({ face, picture }, sample) {
  const { identity: owner } = face;
  const path = `people/${face.person_id}/samples/${sample.id}`;
  const move = async (name) => {
    const person = enrolledAs(name);
    if (person?.id === face.person_id) return `It stays a sample of ${owner}.`;
    if (person) await call("PATCH", path, { person: person.id });
    else {
      await enrol(name, { face, picture, force: true }); // first, so that nothing is lost if it is refused
      await call("DELETE", path);
    }
    return `Moved from ${owner} to ${name}.`;
  };
  const remove = async () => {
    await call("DELETE", path);
    return `Removed from ${owner}.`;
  };
  return {
    text:
      `This face of this picture is a sample of ${owner} (${describe(sample)}). Say whose it is, and it is moved there, ` +
      `or remove it.${sample.last ? ` It is the only one: ${owner} is deleted with it.` : ""}`,
    actions: [
      { label: "Move", run: move },
      { label: "Remove", run: remove, nameless: true },
    ],
  };
}

/** The sample that was enrolled from this face of this picture for the person whom it was taken for, if there is one. */
async function findSample({ face, sha256 }) {
  if (!face.person_id) return undefined;
  const { samples } = (await call("GET", `people/${face.person_id}`)).content;
  const sample = samples.find((each) => each.sha256 === sha256 && (!face.box || covered(face.box, each.box) > 0.5));
  return sample && { ...sample, last: samples.length === 1 };
}

/** How much of the first box is in the second. Both are `[left, top, width, height]`. */
function covered(box, other) {
  const [width, height] = [0, 1].map((axis) => {
    const end = Math.min(box[axis] + box[axis + 2], other[axis] + other[axis + 2]);
    return Math.max(end - Math.max(box[axis], other[axis]), 0);
  });
  return (width * height) / (box[2] * box[3]);
}

/** Enrol a face for the person of this name, who may be enrolled already. */
function enrol(name, { face, picture, force }) {
  const person = enrolledAs(name);
  const fields = { ...(!person && { name }), ...(face.box && { box: face.box }), force };
  const path = person ? `people/${person.id}/samples` : "people";
  if (!(picture instanceof File)) return call("POST", path, { ...fields, pictures: [picture] });
  const form = new FormData();
  form.append("pictures", picture);
  for (const [field, value] of Object.entries(fields)) form.append(field, Array.isArray(value) ? `[${value}]` : value);
  return call("POST", path, form);
}

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** When a sample was enrolled, and how good it is. */
const describe = ({ created, quality }) =>
  `${moment.format(new Date(created))} · quality ${wholePercent.format(quality)}`;

/** What draws the face on a canvas. */
function drawing({ face, card }) {
  if (!face.shown) return undefined;
  const image = find("img", card);
  const [left, top, width, height] = face.shown;
  const { naturalWidth: across, naturalHeight: down } = image;
  return (canvas) => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(
      ...[image, left * across, top * down, width * across, height * down],
      ...[0, 0, canvas.width, canvas.height],
    );
  };
}
