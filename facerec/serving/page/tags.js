// Numbers and names at the boxes of a picture: over nothing else and whole, or only the number.

const GAP = 2; // pixels between a tag and its box

/** Places the tags anew whenever a picture changes its size. */
const tagPlacer = new ResizeObserver((entries) => entries.forEach(({ target }) => placeTags(target)));

function placeTags(figure) {
  const marks = [...figure.querySelectorAll(".face")];
  const taken = marks.map(({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) => ({
    left: offsetLeft,
    top: offsetTop,
    right: offsetLeft + offsetWidth,
    bottom: offsetTop + offsetHeight,
  }));
  const free = (spot) =>
    spot.left >= 0 &&
    spot.top >= 0 &&
    spot.right <= figure.clientWidth &&
    spot.bottom <= figure.clientHeight &&
    !taken.some((other) => overlap(spot, other));
  marks.forEach((mark, index) => {
    const tag = mark.nextElementSibling;
    const box = taken[index];
    let spot;
    for (const named of [true, false]) {
      tag.classList.toggle("named", named);
      spot ??= spots(box, tag.offsetWidth, tag.offsetHeight).find(free);
      if (spot) break;
    }
    spot ??= { left: Math.min(box.left, figure.clientWidth - tag.offsetWidth), top: box.top }; // the number, in its box
    const { left, top } = spot;
    taken.push({ left, top, right: left + tag.offsetWidth, bottom: top + tag.offsetHeight });
    Object.assign(tag.style, { left: `${left}px`, top: `${top}px` });
  });
}

/** Where a tag of this size can be: over its box, under it, or beside it. */
function spots({ left, top, right, bottom }, width, height) {
  const middle = (left + right - width) / 2;
  const [over, under] = [top - GAP - height, bottom + GAP];
  const corners = [over, under].flatMap((y) => [left, middle, right - width].map((x) => [x, y]));
  const beside = [right + GAP, left - GAP - width].map((x) => [x, top]);
  return [...corners, ...beside].map(([x, y]) => ({ left: x, top: y, right: x + width, bottom: y + height }));
}

const overlap = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
