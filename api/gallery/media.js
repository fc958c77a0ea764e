// The media URLs of a list's items, which the list tells once for all of them.

/** The item with its URLs. @param {object} item @param {object} media the list's `media` */
export function withUrls(item, media) {
  if (!item.content) return item;
  const url = (template, width) =>
    template.replace(/\{(\w+)\}/g, (_, name) => (name === "w" ? width : item[name]));
  return {
    ...item,
    thumb: url(media.thumb),
    original: url(media.original),
    variants: rungs(media.widths, item.width).map((width) => ({
      width: Math.min(width, item.width),
      url: url(media.variant, width),
    })),
  };
}

// Up to the natural width; the first rung at or above it shows the picture in full.
function rungs(widths, natural) {
  const below = widths.filter((width) => width < natural);
  return widths.slice(0, below.length + 1);
}
