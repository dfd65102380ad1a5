import type { Instance, Outcome } from '../../src/inference/queue/job.ts'

interface Run<I, O> {
  readonly inputs: readonly I[]
  readonly settle: (outcome: Outcome<O>) => void
}

/** A worker that a test plays: it shows what it was given, and answers when the test says so. */
export class HandInstance<I, O> implements Instance<I, O> {
  readonly #answer: (input: I) => O
  readonly #onRun: (inputs: readonly I[]) => void
  readonly #given: Run<I, O>[] = []
  /** The inputs of each run that it was given, without those that it was given ahead and lost before they began. */
  readonly runs: (readonly I[])[] = []

  /** @param given called with the inputs of every run as it is handed over */
  constructor(answer: (input: I) => O, given: (inputs: readonly I[]) => void = () => undefined) {
    this.#answer = answer
    this.#onRun = given
  }

  get isBusy(): boolean {
    return this.#given.length > 0
  }

  /** What runs now. */
  get inputs(): readonly I[] {
    return this.#given[0]?.inputs ?? []
  }

  /** What runs now, and what it was given ahead. */
  get given(): readonly (readonly I[])[] {
    return this.#given.map(({ inputs }) => inputs)
  }

  run(inputs: readonly I[], settle: (outcome: Outcome<O>) => void): void {
    this.#onRun(inputs)
    this.runs.push(inputs)
    this.#given.push({ inputs, settle })
  }

  /** Answers the run with what its inputs give. */
  finish(): void {
    const outputs = this.inputs.map((input) => this.#answer(input))
    this.settle({ kind: 'done', outputs, timing: { inputNs: 1, inferNs: 2, outputNs: 3 } })
  }

  /** Answers the run as the test says. */
  settle(outcome: Outcome<O>): void {
    this.#given.shift()?.settle(outcome)
  }

  /** Ends in the middle of its run. */
  lose(): void {
    const [run, ...ahead] = this.#given.splice(0)
    this.runs.splice(this.runs.length - ahead.length)
    run?.settle({ kind: 'lost', cause: 'SIGSEGV', isKilled: false })
    for (const { settle } of ahead) settle({ kind: 'returned' })
  }
}
