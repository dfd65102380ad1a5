import type { Answers } from './messages.ts'

/** Questions to another process, and their answers. */
export interface Questions<Q extends keyof Answers> {
  /** Rejects where no answer comes in time, or the other process ends. */
  ask<W extends Q>(what: W, timeoutMs: number): Promise<Answers[W]>
  answered(id: number, answer: unknown): void
  /** The other process is gone. */
  close(): void
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** Prepares questions that are sent by a function. */
export function createQuestions<Q extends keyof Answers>(
  send: (question: { readonly kind: 'question'; readonly id: number; readonly what: Q }) => void,
): Questions<Q> {
  const waiting = new Map<number, Waiting>()
  let count = 0
  let isClosed = false
  const take = (id: number): Waiting | undefined => {
    const found = waiting.get(id)
    waiting.delete(id)
    clearTimeout(found?.timer)
    return found
  }
  return {
    ask(what, timeoutMs) {
      if (isClosed) return Promise.reject(new Error('the process has ended'))
      const id = count++
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const timer = setTimeout(() => take(id)?.reject(new Error('the process does not answer')), timeoutMs)
      waiting.set(id, { resolve, reject, timer })
      send({ kind: 'question', id, what })
      // The cast: an answer has the type that its question asks for.
      return promise as Promise<never>
    },
    answered: (id, answer) => take(id)?.resolve(answer),
    close() {
      isClosed = true
      for (const id of [...waiting.keys()]) take(id)?.reject(new Error('the process has ended'))
    },
  }
}
