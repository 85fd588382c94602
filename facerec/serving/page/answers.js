// All answers together: copy, download and clear them.

const tools = find("#tools");

/** Show what can be done with the answers, where there are some. */
function showTools() {
  tools.hidden = !document.querySelector("article");
  find("#done").textContent = "";
}

/** What the service said of each picture, the newest first. */
const allAnswers = () => [...document.querySelectorAll("article")].map((card) => answered.get(card)).filter(Boolean);

/** The names of each picture, in a line. */
function namesOf({ source, faces, ...prediction }) {
  const names = (faces.length ? faces : [prediction]).map(({ identity }) => identity ?? UNKNOWN.toLowerCase());
  return `${source}: ${names.join(", ")}`;
}

const asJson = () => JSON.stringify(allAnswers(), null, 2);

async function copyText(text, what) {
  await navigator.clipboard.writeText(text);
  tell(`${what} copied.`);
}

function tell(text) {
  find("#done").textContent = text;
  announce(text);
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([asJson()], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

function clearAnswers() {
  find("#answers").replaceChildren();
  showTools();
  announce("All answers cleared.");
  find("#files").focus();
}

if (navigator.clipboard) { // browsers have none on pages without TLS
  find(".actions", tools).append(
    makeButton("Copy names", () => copyText(allAnswers().map(namesOf).join("\n"), "Names")),
    makeButton("Copy JSON", () => copyText(asJson(), "JSON")),
  );
}
find(".actions", tools).append(makeButton("Download JSON", download), makeButton("Clear all", clearAnswers));
