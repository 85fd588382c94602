// The view of the people: rename, merge and delete them, and their samples.

const SHOWN = 200; // people of each list; more are found with the filter
const filter = find("#filter");
let opened = null; // id of the person whose samples are shown

/** List whom the service knows. */
function showPeople() {
  return attempt(async () => {
    await readPeople();
    listPeople();
  });
}

function listPeople() {
  const part = filter.value.trim().toLowerCase();
  const matching = people.filter(({ name }) => name.toLowerCase().includes(part));
  const enrolled = matching.filter(({ id }) => id);
  const shipped = matching.filter(({ id }) => !id);
  find("#enrolled").replaceChildren(...enrolled.slice(0, SHOWN).map(enrolledEntry));
  find("#shipped").replaceChildren(...shipped.slice(0, SHOWN).map(shippedEntry));
  find("#count-enrolled").textContent = counted(enrolled);
  find("#count-shipped").textContent = counted(shipped);
  find("#known").hidden = false;
  find("#nobody").hidden = Boolean(enrollingOff) || people.some(({ id }) => id);
}

function counted({ length }) {
  return length > SHOWN ? `${SHOWN} of ${length}: filter to see others` : String(length);
}

function shippedEntry({ name }) {
  const item = document.createElement("li");
  item.textContent = name;
  return item;
}

function enrolledEntry(person) {
  const item = copy("person");
  const details = find("details", item);
  find("bdi", item).textContent = person.name;
  find("summary span", item).textContent = plural(person.samples, "sample") + (person.shipped ? ", and shipped" : "");
  if (!enrollingOff) {
    find(".actions", item).append(
      makeButton("Rename", () => askToRename(person)),
      makeButton("Delete", () => askToDelete(person)),
    );
  }
  details.addEventListener("toggle", () => {
    if (details.open) {
      opened = person.id;
      attempt(() => listSamples(person, find("ul", item)));
    } else if (opened === person.id) opened = null;
  });
  details.open = person.id === opened;
  return item;
}

async function listSamples(person, list) {
  const { samples } = (await call("GET", `people/${person.id}`)).content;
  const items = samples.map((sample) => {
    const item = document.createElement("li");
    item.textContent = describe(sample);
    if (!enrollingOff) {
      item.append(
        makeButton("Move", () => askToMove(person, sample)),
        makeButton("Delete", () => askToDeleteSample(person, sample)),
      );
    }
    return item;
  });
  list.replaceChildren(...items);
}

/** Say what was changed, and list the people anew. */
async function changed(note) {
  await showPeople();
  find("#change").textContent = note;
  announce(note);
  (find("details[open] summary") ?? find("#people h2")).focus();
}

function askToRename({ id, name }) {
  const path = `people/${id}`;
  openDialog({
    heading: `Rename ${name}`,
    name,
    actions: [
      {
        label: "Rename",
        run: async (newName) => {
          await call("PATCH", path, { name: newName });
          return `${name} is ${newName} now.`;
        },
      },
      {
        label: "Merge",
        after: ["name_taken"],
        question: (newName) => `${newName} is enrolled already. Merge the two? ${newName} gets all samples of ${name}.`,
        run: async (newName) => {
          const { content } = await call("PATCH", path, { name: newName, merge: true });
          opened = content.id;
          return `${name} was merged into ${content.name}.`;
        },
      },
    ],
    done: changed,
  });
}

function askToDelete({ id, name, samples, shipped }) {
  openDialog({
    heading: `Delete ${name}?`,
    text:
      `${plural(samples, "sample")} of ${name} will be gone for good.` +
      (shipped ? " The service still knows this person from its model." : ""),
    actions: [
      {
        label: "Delete",
        run: async () => {
          await call("DELETE", `people/${id}`);
          return `${name} was deleted.`;
        },
      },
    ],
    done: changed,
  });
}

/** What is said where a person would have no sample left. */
const lastSample = ({ name, samples }) => (samples === 1 ? ` It is the only one: ${name} is deleted with it.` : "");

function askToDeleteSample(person, sample) {
  openDialog({
    heading: "Delete this sample?",
    text: `It is of ${person.name} (${describe(sample)}).${lastSample(person)}`,
    actions: [
      {
        label: "Delete",
        run: async () => {
          await call("DELETE", `people/${person.id}/samples/${sample.id}`);
          return `A sample of ${person.name} was deleted.`;
        },
      },
    ],
    done: changed,
  });
}

function askToMove(person, sample) {
  openDialog({
    heading: "Whose sample is this?",
    text: `It is of ${person.name} (${describe(sample)}).${lastSample(person)}`,
    name: "",
    actions: [
      {
        label: "Move",
        run: async (name) => {
          const other = enrolledAs(name);
          if (!other) throw new Refusal({ code: "", detail: `Nobody who is enrolled is called ${name}.` });
          await call("PATCH", `people/${person.id}/samples/${sample.id}`, { person: other.id });
          return `A sample of ${person.name} was moved to ${other.name}.`;
        },
      },
    ],
    done: changed,
  });
}

filter.addEventListener("input", listPeople);
