// A picture over the whole window. It is moved there and back, with its boxes.

const zoom = find("#zoom");
const vacated = document.createComment("the enlarged picture"); // where the picture goes back to

function enlarge(figure) {
  figure.replaceWith(vacated);
  find("div", zoom).replaceChildren(figure);
  zoom.showModal();
}

function closeZoom() {
  const figure = find("figure", zoom);
  if (!figure) return;
  vacated.replaceWith(figure);
  zoom.close();
  find(".enlarge", figure).focus();
}

zoom.addEventListener("close", closeZoom); // with Escape
find("button", zoom).addEventListener("click", closeZoom);
