/** How often the line is drawn, at most. */
const DRAW_MS = 100
const WIDTH = 24

/** A line on the standard error that says how far a long input is; nothing where that is no terminal. */
export class Progress {
  readonly #bytes: number | undefined
  readonly #begunMs = performance.now()
  readonly #isShown = process.stderr.isTTY === true
  #rows = 0
  #read = 0
  #drawnMs = 0

  /** Bytes of the input, where they are known. */
  constructor(bytes: number | undefined) {
    this.#bytes = bytes
  }

  /** Rows were sent, and this much of the input has been read by now. */
  add({ rows, readBytes }: { readonly rows: number; readonly readBytes: number }): void {
    this.#rows += rows
    this.#read = readBytes
    const nowMs = performance.now()
    if (!this.#isShown || nowMs - this.#drawnMs < DRAW_MS) return
    this.#drawnMs = nowMs
    process.stderr.write(`\r${this.line(nowMs)}\x1b[K`)
  }

  /** The line as it is now. */
  line(nowMs: number): string {
    const perSecond = Math.round(this.#rows / Math.max(0.001, (nowMs - this.#begunMs) / 1000))
    const counted = `${this.#rows} rows, ${perSecond} a second`
    if (this.#bytes === undefined || this.#bytes === 0) return counted
    const part = Math.min(1, this.#read / this.#bytes)
    const full = Math.round(part * WIDTH)
    return `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${Math.floor(part * 100)} %, ${counted}`
  }

  end(): void {
    if (this.#isShown && this.#drawnMs > 0) process.stderr.write(`\r${this.line(performance.now())}\x1b[K\n`)
  }
}
