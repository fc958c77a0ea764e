// Renders a ThumbHash (format by Evan Wallace, public domain): an image preview of about 25 bytes.

/** The frequencies [cx, cy] of a channel with nx by ny cosine terms, in storage order. */
function* terms(nx, ny) {
  for (let cy = 0; cy < ny; cy++) {
    for (let cx = cy ? 0 : 1; cx * ny < nx * (ny - cy); cx++) yield [cx, cy];
  }
}

/** The channels of a hash: the mean and the cosine terms as [cx, cy, weight]. */
function parse(bytes) {
  const head = bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);
  const more = bytes[3] | (bytes[4] << 8);
  const alpha = head >> 23 === 1;
  const landscape = more >> 15 === 1;
  const long = alpha ? 5 : 7;
  const short = more & 7;
  const nx = Math.max(3, landscape ? long : short);
  const ny = Math.max(3, landscape ? short : long);
  let nibble = (alpha ? 6 : 5) * 2;
  const channel = (mean, scale, across, down) => ({
    mean,
    waves: [...terms(across, down)].map(([cx, cy]) => {
      const value = (bytes[nibble >> 1] >> ((nibble & 1) * 4)) & 15;
      nibble += 1;
      return [cx, cy, (value / 7.5 - 1) * scale];
    }),
  });
  return {
    ratio: (landscape ? long : short) / (landscape ? short : long),
    l: channel((head & 63) / 63, ((head >> 18) & 31) / 31, nx, ny),
    p: channel(((head >> 6) & 63) / 31.5 - 1, (((more >> 3) & 63) / 63) * 1.25, 3, 3),
    q: channel(((head >> 12) & 63) / 31.5 - 1, (((more >> 9) & 63) / 63) * 1.25, 3, 3),
    a: alpha ? channel((bytes[5] & 15) / 15, (bytes[5] >> 4) / 15, 5, 5) : null,
  };
}

/** The value of a channel at a pixel. */
function sample(channel, x, y, width, height) {
  let sum = channel.mean;
  for (const [cx, cy, weight] of channel.waves) {
    const down = cy ? Math.cos((Math.PI / height) * cy * (y + 0.5)) : 1;
    sum += 2 * weight * down * (cx ? Math.cos((Math.PI / width) * cx * (x + 0.5)) : 1);
  }
  return sum;
}

/**
 * The pixels of a hash.
 * @param {Uint8Array} bytes the hash
 * @param {number} width pixels across
 * @param {number} height pixels down
 * @returns {Uint8ClampedArray} rows of RGBA
 */
export function pixels(bytes, width, height) {
  const { l, p, q, a } = parse(bytes);
  const out = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      const light = sample(l, x, y, width, height);
      const yellow = sample(p, x, y, width, height);
      const red = sample(q, x, y, width, height);
      const blue = light - (2 / 3) * yellow;
      const r = (3 * light - blue + red) / 2;
      out.set([255 * r, 255 * (r - red), 255 * blue, a ? 255 * sample(a, x, y, width, height) : 255], i);
    }
  }
  return out;
}

/**
 * Draws a base64 hash into a small canvas; CSS scales it up, and the browser smooths it.
 * @param {HTMLCanvasElement} canvas
 * @param {string} text
 */
export function draw(canvas, text) {
  if (!text) return;
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const side = 16;
  canvas.width = side;
  canvas.height = side;
  canvas.getContext("2d").putImageData(new ImageData(pixels(bytes, side, side), side, side), 0, 0);
}
