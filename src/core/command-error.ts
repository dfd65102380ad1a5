/** What was asked could not be done: told on the standard error, with exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
