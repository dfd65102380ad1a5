export interface RefusalOptions {
  /** Status of the response, 400 to 499; default 422. */
  readonly status?: number
}

const STATUS_DEFAULT = 422

/**
 * Rejects a request with a text that its caller sees. Other errors are logged, and their callers see none of them.
 *
 * @example
 * if (boxes.length > 500) throw new Refusal('more than 500 lines', { status: 422 })
 *
 * @throws RangeError where the status is not one of 400 to 499
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(text: string, { status = STATUS_DEFAULT }: RefusalOptions = {}) {
    super(text)
    if (!Number.isInteger(status) || status < 400 || status > 499)
      throw new RangeError(`the status of a Refusal must be 400 to 499, not ${status}`)
    this.status = status
  }
}
