// Media URLs of list items, built from the list's URL templates. Items with `thumb` and `original` have
// pre-signed URLs of the S3 server instead, and no variants.

/** The item with its media URLs. @param {object} item @param {object} media the list's `media` */
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
  usefulWidths(widths, item.width).map((width) => ({ width: Math.min(width, item.width), url: url(width) }));

// The widths below the image's width, and the next larger one, which gives the full size.
function usefulWidths(widths, imageWidth) {
  const narrower = widths.filter((width) => width < imageWidth);
  return widths.slice(0, narrower.length + 1);
}
