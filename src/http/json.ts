/** A JSON response. `Content-Type` is exactly `application/json`, as some clients compare it. */
export function jsonResponse(value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return jsonTextResponse(JSON.stringify(value), headers)
}

/** A JSON response of a text that is JSON already. */
export function jsonTextResponse(text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { headers: { 'content-type': 'application/json', ...headers } })
}
