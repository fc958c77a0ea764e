// The media URLs of a list's items, which the list tells once for all of them. Where an item has URLs of
// its own they are signed ones of the store, which holds no variants.

/** The item with its URLs. @param {object} item @param {object} media the list's `media` */
export function withUrls(item, media) {
  if (!item.content) return item;
  const url = (template, width) =>
    template.replace(/\{(\w+)\}/g, (_, name) => (name === "w" ? width : item[name]));
  return {
    thumb: url(media.thumb),
    original: url(media.original),
    variants: item.thumb ? [] : variants(item, (width) => url(media.variant, width), media.widths),
    ...item,
  };
}

const variants = (item, url, widths) =>
  rungs(widths, item.width).map((width) => ({ width: Math.min(width, item.width), url: url(width) }));

// Up to the natural width; the first rung at or above it shows the picture in full.
function rungs(widths, natural) {
  const below = widths.filter((width) => width < natural);
  return widths.slice(0, below.length + 1);
}
