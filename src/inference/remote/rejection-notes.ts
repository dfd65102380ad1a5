import type { Clock } from '../../core/clock.ts'
import { type ErrorCode, VestalError } from '../../core/errors.ts'
import type { RejectionReason, Rejections } from '../statistics.ts'

/** How long rejections are counted before they are sent to the engine process: they come in bursts. */
const NOTE_MS = 250

const REASONS: Readonly<Partial<Record<ErrorCode, RejectionReason>>> = {
  QUEUE_FULL: 'queue-full',
  SUBJECT_MEMORY_LIMIT: 'subject-bytes',
  REQUEST_ABORTED: 'aborted',
}

/** Counts requests that an HTTP process rejects before the engine process has them: the statistics of models are there. */
export class RejectionNotes {
  readonly #clock: Clock
  readonly #send: (rejections: readonly Rejections[]) => void
  readonly #notes = new Map<string, Rejections>()

  constructor(clock: Clock, send: (rejections: readonly Rejections[]) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Counts a request for a version that was rejected with this error. */
  note({ model, version }: { readonly model: string; readonly version: string }, error: unknown): void {
    const reason = error instanceof VestalError ? REASONS[error.code] : undefined
    if (reason === undefined) return
    if (this.#notes.size === 0) this.#clock.at(this.#clock.now() + NOTE_MS, () => this.send())
    const key = JSON.stringify([model, version, reason])
    this.#notes.set(key, { model, version, reason, count: (this.#notes.get(key)?.count ?? 0) + 1 })
  }

  /** Sends all that was not sent yet. */
  send(): void {
    if (this.#notes.size > 0) this.#send([...this.#notes.values()])
    this.#notes.clear()
  }
}
