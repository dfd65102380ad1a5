/** The longest text of ONNX Runtime's that is kept for the log. */
const TEXT_MAX = 4000

/** Something that ONNX Runtime rejected: the message is in our words and safe to show, the runtime's own text is for the log. */
export class RuntimeFailure extends Error {
  override readonly name = 'RuntimeFailure'
  readonly runtimeText: string

  constructor(reason: string, runtimeText: string) {
    super(reason)
    this.runtimeText = runtimeText.slice(0, TEXT_MAX)
  }
}

/** What is answered of a failure. */
export interface Failure {
  /** Safe to show to a client. */
  readonly reason: string
  /** What ONNX Runtime said, with its source files and paths of this machine: for the log only. */
  readonly runtimeText?: string
}

/** What may be shown of an error that came up in loading or computing, and what is for the log. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RuntimeFailure) return { reason: error.message, runtimeText: error.runtimeText }
  const text = textOf(error)
  // A fault of the file system names the file by its path.
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return { reason: `a file of the model cannot be read (${String(error.code)})`, runtimeText: text.slice(0, TEXT_MAX) }
  }
  return { reason: text.slice(0, 300) }
}

/** The text of anything that was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
