/** A key that cannot be used, told at the start and never because of a request. The message never holds key material. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
}
