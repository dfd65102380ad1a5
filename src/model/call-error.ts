/** A file or a served model that could not compute what a `model.ts` asked. One that is not caught becomes the answer of the request. */
export class CallError extends Error {
  override readonly name = 'CallError'
  /** Code of the error catalogue, such as `QUEUE_FULL`. */
  readonly code: string
  readonly status: number

  constructor(message: string, { code, status }: { readonly code: string; readonly status: number }) {
    super(message)
    this.code = code
    this.status = status
  }
}
