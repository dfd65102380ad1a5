import type { Instance, Outcome } from '../../src/engine/scheduling/job.ts'

/** A worker that a test plays: it shows what it was given, and answers when the test says so. */
export class HandInstance<I, O> implements Instance<I, O> {
  readonly #answer: (input: I) => O
  #settle: ((outcome: Outcome<O>) => void) | undefined
  /** What it was given to run, run by run. */
  readonly runs: (readonly I[])[] = []

  constructor(answer: (input: I) => O) {
    this.#answer = answer
  }

  get isBusy(): boolean {
    return this.#settle !== undefined
  }

  /** What runs now. */
  get inputs(): readonly I[] {
    return this.isBusy ? (this.runs.at(-1) ?? []) : []
  }

  run(inputs: readonly I[], settle: (outcome: Outcome<O>) => void): void {
    if (this.isBusy) throw new Error('it was given a run while it was in one')
    this.runs.push(inputs)
    this.#settle = settle
  }

  /** Answers the run with what its inputs give. */
  finish(): void {
    const outputs = this.inputs.map((input) => this.#answer(input))
    this.settle({ kind: 'done', outputs, timing: { inputNs: 1, inferNs: 2, outputNs: 3 } })
  }

  /** Answers the run as the test says. */
  settle(outcome: Outcome<O>): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(outcome)
  }
}
