// A profile picture, made small before it is uploaded.

const SIDE = 256;
const MOST_BYTES = 256 * 1024;

// Returns the middle square of a picture file, as a file of at most 256 KiB; nothing if it is not a picture.
export async function shrink(file) {
  const image = await createImageBitmap(file).catch(() => undefined);
  if (!image) return undefined;
  const side = Math.min(image.width, image.height);
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  const [left, top] = [(image.width - side) / 2, (image.height - side) / 2];
  canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  const write = (type, quality) => new Promise((resolve) => canvas.toBlob(resolve, type, quality));
  const exact = await write("image/png");
  return exact.size <= MOST_BYTES ? exact : write("image/jpeg", 0.85);
}
