// The ways in which pictures come: chosen, taken with the camera, dropped, pasted, or by their address.

/** Ask about `pictures`, files or addresses, one after the other; each gets a card. */
function recognize(pictures) {
  if (!pictures.length) return;
  if (location.hash) location.hash = ""; // the view of the answers
  const cards = pictures.map(makeCard);
  find("#answers").prepend(...cards);
  showTools();
  cards[0].scrollIntoView();
}

find("#address").addEventListener("submit", (event) => {
  event.preventDefault();
  recognize([new URL(find("#url").value).href]);
});

for (const input of document.querySelectorAll("#files, #camera")) {
  input.addEventListener("change", () => {
    recognize([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
}

addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  recognize([...event.clipboardData.files]);
});

/** Whether what is dragged can be asked about. A field for text takes an address itself. */
const takes = ({ dataTransfer: { types }, target }) =>
  types.includes("Files") || (types.includes("text/uri-list") && !target.closest?.("input:not([type=file])"));

/** The addresses in a list of them (RFC 2483, section 5). */
const listed = (text) => text.split(/\r?\n/).filter((line) => line && !line.startsWith("#"));

addEventListener("dragover", (event) => {
  if (!takes(event)) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});

addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dragging");
});

addEventListener("drop", (event) => {
  document.body.classList.remove("dragging");
  if (!takes(event)) return;
  event.preventDefault();
  const { files } = event.dataTransfer;
  recognize(files.length ? [...files] : listed(event.dataTransfer.getData("text/uri-list")));
});
