// The views of the page. The address names one after its `#`.

const VIEWS = { pictures: showTools, people: showPeople, model: showModel };

function showView() {
  const asked = location.hash.slice(1);
  const shown = Object.hasOwn(VIEWS, asked) ? asked : "pictures";
  for (const name of Object.keys(VIEWS)) find(`#${name}`).hidden = name !== shown;
  for (const link of document.querySelectorAll("header a")) {
    link.ariaCurrent = link.hash === `#${shown}` ? "page" : null;
  }
  find("#change").textContent = "";
  VIEWS[shown]();
}

addEventListener("hashchange", showView);
showView();
