/** What moves a terminal's cursor, begins a line, or reverses the text that follows: a name that a client sent may hold it. */
const CONTROL = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu
const CONTROL_BUT_LINE_ENDS = /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/** A text as one line of a terminal may show it: control characters as `\u001b`. */
export function printable(text: string): string {
  return text.replace(CONTROL, escapeOf)
}

/** The same for a text of several lines. JSON stays the same JSON. */
export function printableLines(text: string): string {
  return text.replace(CONTROL_BUT_LINE_ENDS, escapeOf)
}

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
