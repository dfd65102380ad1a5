/** A text in a log line is cut after this. */
const TEXT_MAX = 300
/** A stack may be longer: it is our own. */
export const STACK_MAX = 4000

/** Most texts: short, printable, and nothing in them that could be a secret. */
const PLAIN = /^[\w .,:;=/+*#@()[\]{}<>?!'-]{0,64}$/
/** A token or an encrypted one, with or without its end: base64url of `{"` is where each part begins. */
const TOKENS = /eyJ[\w-]{5,}(?:\.[\w=-]*){0,4}/g
/** What follows a scheme, and what the name of a secret is set to. */
const NAMED =
  /\b(bearer\s+|basic\s+|(?:secret|password|passwd|api[_-]?key|token|authorization|cookie)["']?\s*[=:]\s*)["']?[^\s"',;&]{6,}/gi
const KEYS = /-----BEGIN [A-Z ]+-----[\s\S]*?(?:-----END [A-Z ]+-----|$)/g
/** Where a file stands on this machine: what comes before our own folders and the modules'. */
const PATHS = /(?:file:\/\/)?\/[^\s:()'"]*\/(?=(?:src|node_modules|test)\/)/g

/** Texts that the four above are worth trying on. */
const NAMED_HINT = /bearer|basic|secret|passw|api|token|auth|cookie|\/(?:src|node_modules|test)\//i

/**
 * A text as a log line may hold it: no token, no key, no password and no folder of this machine, and not longer than the limit. It is the
 * second net: callers put no such text in, and this one is for what others wrote.
 */
export function clean(text: string, lengthMax = TEXT_MAX): string {
  if (isPlain(text)) return text
  const cleaned = text
    .slice(0, lengthMax * 4)
    .replace(KEYS, '[key]')
    .replace(TOKENS, '[token]')
    .replace(NAMED, '$1[redacted]')
    .replace(PATHS, '')
  return cleaned.length > lengthMax ? `${cleaned.slice(0, lengthMax)}…` : cleaned
}

/** A value as a log line may hold it. */
export function textOf(value: unknown, name?: string): string {
  if (typeof value === 'string') return clean(value, name === 'runtimeText' ? STACK_MAX : TEXT_MAX)
  if (!(value instanceof Error)) return clean(String(value))
  const cause = value.cause === undefined ? '' : `\ncaused by ${textOf(value.cause)}`
  return clean(`${value.stack ?? `${value.name}: ${value.message}`}${cause}`, STACK_MAX)
}

/** True for a text that is clean, and that JSON needs not escape; for others it may be false. */
export function isPlain(text: string): boolean {
  return PLAIN.test(text) && !text.includes('eyJ') && !NAMED_HINT.test(text)
}

/** Texts that are remembered at once, all forgotten where there are more, and the length of one. */
const [KNOWN_MAX, KNOWN_LENGTH_MAX] = [1000, 64]

/**
 * Makes something of texts and remembers it: to clean a text costs more than the rest of its line, and most, such as routes and subjects, were
 * in the line before.
 */
export function remembered(make: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    if (text.length > KNOWN_LENGTH_MAX) return make(text)
    const before = known.get(text)
    if (before !== undefined) return before
    const made = make(text)
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(text, made)
    return made
  }
}
