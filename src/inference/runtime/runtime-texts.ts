/** What ONNX Runtime said of a model, in full: for the log, never for a client. */
export interface RuntimeText {
  readonly model: string
  readonly version: string
  /** What it could not do: load the model, compute in the trial of shared runs, or compute otherwise. */
  readonly during: 'load' | 'trial' | 'run'
  readonly text: string
}

/** Texts of one version that are logged in a minute: clients can cause them, and most are the same. */
const TEXTS_MAX = 8
const PERIOD_MS = 60_000

/** Hands on what ONNX Runtime says of one version: each text once a minute, and no more than a few different ones. */
export function createRuntimeTexts(
  key: string,
  log: (text: RuntimeText) => void,
  nowMs: () => number,
): (during: RuntimeText['during'], text: string) => void {
  const [model = '', version = ''] = key.split('/')
  const logged = new Set<string>()
  let begunMs = Number.NEGATIVE_INFINITY
  return (during, said) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: names inside a model may hold anything, and a log is read on a terminal.
    const text = said.replaceAll(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
    if (nowMs() - begunMs >= PERIOD_MS) {
      begunMs = nowMs()
      logged.clear()
    }
    if (logged.has(text) || logged.size >= TEXTS_MAX) return
    logged.add(text)
    log({ model, version, during, text })
  }
}
