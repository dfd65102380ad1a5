/** A URL with nothing in its path that a parser would write otherwise. */
const PLAIN = /^https?:\/\/[\w.-]+(?::\d+)?(\/[\w/-]*)(?:$|\?)/

/** Path of the request without its query. A `Host` that is no host leaves a URL that cannot be parsed; it still holds the path. */
export function pathOf({ url }: Request): string {
  const plain = PLAIN.exec(url)?.[1]
  if (plain !== undefined) return plain
  return URL.canParse(url) ? new URL(url).pathname : (/^(?:\w+:\/\/[^/]*)?([^?#]*)/.exec(url)?.[1] ?? '')
}

/** Name or address that the request was sent to, without the port; empty where it is none. */
export function hostOf({ url }: Request): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}
