// Pictures in which people lie on their side: turned for the eye as the service turned them to find the faces.

/** The address of the picture at `url`, turned back by so many degrees that it is `turned` clockwise. */
async function turnBack(url, turned) {
  if (!turned) return url;
  const image = new Image();
  image.src = url;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = turned === 180 ? [width, height] : [height, width];
  const context = canvas.getContext("2d");
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((-turned * Math.PI) / 180);
  context.drawImage(image, -width / 2, -height / 2);
  return canvas.toDataURL("image/jpeg", 0.9);
}

/**
 * Where a `box` of `[left, top, width, height]` pixels is shown: the same four as fractions of the shown picture's
 * width and height.
 */
function shownBox([left, top, width, height], { width: across, height: down, turned }) {
  const [x, y, w, h] = [left / across, top / down, width / across, height / down];
  if (turned === 90) return [y, 1 - x - w, h, w];
  if (turned === 180) return [1 - x - w, 1 - y - h, w, h];
  if (turned === 270) return [1 - y - h, x, h, w];
  return [x, y, w, h];
}
