// The dialog in which everything that changes the gallery is confirmed.

const dialog = find("#asking");
const nameInput = find("#name");
let asked; // what the dialog was opened with

/**
 * Open the dialog. It stays until an action succeeds or somebody closes it.
 *
 * `name` is what the field for a name holds at first; there is none without it. `picture` draws on the canvas; there is
 * none without it. `consent` shows the sentence on consent. An action has a `label`, and `run(name)`, whose result goes
 * to `done` once the dialog is closed. One with `after` is offered only after a refusal with one of these codes, which
 * is shown in the service's words or, where the action has a `question(name)`, in these. One with `nameless` needs no
 * name.
 */
function openDialog(options) {
  asked = options;
  const { heading, text = "", name, picture, consent = false, actions = [] } = asked;
  find("h2", dialog).textContent = heading;
  find("#dialog-text").textContent = text;
  find("#naming").hidden = nameInput.disabled = name === undefined;
  nameInput.value = name ?? "";
  const canvas = find("canvas", dialog);
  canvas.hidden = !picture;
  picture?.(canvas);
  find("#consent").hidden = !consent;
  const buttons = actions.map(({ label, nameless = false }, index) => {
    const button = makeButton(label);
    Object.assign(button, { type: "submit", value: index, formNoValidate: nameless });
    button.classList.toggle("primary", index === 0);
    return button;
  });
  const close = makeButton(actions.length ? "Cancel" : "Close", () => dialog.close());
  find(".actions", dialog).replaceChildren(...buttons, close);
  showRefusal(null);
  dialog.showModal();
  (nameInput.disabled ? close : nameInput).focus();
}

/** Show why an action failed, if it did, and the actions that are offered after that. */
function showRefusal(refusal) {
  let words = refusal?.detail ?? "";
  asked.actions?.forEach(({ after, question }, index) => {
    if (!after) return;
    const offered = after.includes(refusal?.code);
    find(`button[value="${index}"]`, dialog).hidden = !offered;
    if (offered && question) words = question(nameInput.value.trim());
  });
  find("#refusal").textContent = words;
}

async function act(action) {
  dialog.ariaBusy = "true";
  try {
    const result = await action.run(nameInput.value.trim());
    dialog.close();
    asked.done(result);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.code === "unauthorized") {
      const again = { ...asked, name: asked.name === undefined ? undefined : nameInput.value };
      dialog.close();
      askForKey(() => openDialog(again));
    } else showRefusal(refusal);
  } finally {
    dialog.ariaBusy = "false";
  }
}

find("form", dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  if (dialog.ariaBusy !== "true") act(asked.actions[event.submitter.value]);
});
nameInput.addEventListener("input", () => showRefusal(null));
dialog.addEventListener("cancel", (event) => {
  if (dialog.ariaBusy === "true") event.preventDefault(); // so that no refusal goes unseen
});

/** Do something that asks the service. If it refuses, say so, or do it again once the key is there. */
async function attempt(run) {
  try {
    await run();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.code === "unauthorized") askForKey(() => attempt(run));
    else openDialog({ heading: "That didn't work", text: refusal.detail });
  }
}
