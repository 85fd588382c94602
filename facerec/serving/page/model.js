// The view that says how good the service is: GET /model in words.

/** What was counted when the models were tested: its name, its meaning, and where the figure is. */
const TESTS = [
  ["Faces found", "of all faces in the test pictures", ({ locator }) => locator.figures.recall],
  [
    "Known people named",
    "pictures of people whom it knows that got the right name",
    ({ figures }) => figures.accepted_known,
  ],
  [
    "Strangers named",
    "pictures of people whom it doesn't know that got a name all the same",
    ({ figures }) => figures.accepted_unknown,
  ],
  [
    "Right person nearest",
    "pictures of people whom it knows that are nearest to the right one, near enough or not",
    ({ figures }) => figures.top_1,
  ],
];

const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

function showModel() {
  return attempt(async () => {
    const { content } = await call("GET", "model");
    const results = TESTS.map(([name, meaning, of]) => [name, meaning, of(content)]);
    const rows = results.filter(([, , value]) => value !== undefined).map(resultRow);
    find("#tests tbody").replaceChildren(...rows);
    find("#tests").hidden = !rows.length;
    find("#model-people").textContent =
      `It learned to know ${content.people} people in its training; others are added by enrolling them. It was ` +
      "tested on pictures that it had not seen before.";
    const terms = facts(content).flatMap(([name, value]) => [make("dt", name), make("dd", value)]);
    find("#model-facts").replaceChildren(...terms);
    find("#measured").hidden = false;
  });
}

function resultRow([name, meaning, value]) {
  const row = wrapped("tr", wrapped("th", name, make("p", meaning, "quiet")), make("td", percent.format(value)));
  find("th", row).scope = "row";
  return row;
}

const facts = (model) => [
  ["Network", model.backbone],
  ["Made", `${day.format(new Date(model.created))}, version ${model.version}`],
  ["A match needs a similarity of", model.threshold.toFixed(3)],
  ["Strangers whom training let pass", percent.format(model.false_accept_rate)],
  ["SHA-256 of the recognizer", model.sha256],
  ["Licence of the recognizer", model.licence],
  ["Licence of the face detector", model.locator.licence],
  ["Licence of the landmark predictor", model.landmarks.licence],
];
