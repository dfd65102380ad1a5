/** `JSON.rawJSON` of ECMAScript's proposal, for which TypeScript has no type yet. */
const RAW = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean }

/** What `JSON.stringify` writes as this text, which is a number's. */
export function rawJson(text: string): unknown {
  return RAW.rawJSON(text)
}

/** True for what `rawJson` gave. */
export function isRawJson(value: unknown): boolean {
  return RAW.isRawJSON(value)
}
