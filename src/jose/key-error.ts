/** A key that cannot be used; reported at the start, never for a request. The message never holds key material. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
}
