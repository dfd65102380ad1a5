import { invariant } from '../../core/invariant.ts'
import { closeDescriptor, sendDescriptor } from './c-library.ts'
import { copyLines } from './copy-lines.ts'
import type { ListeningSocket } from './listening-socket.ts'
import type { Answers, FromMember, LastCounts, MemberQuestion, SupervisorQuestion, ToMember } from './messages.ts'
import { createQuestions } from './questions.ts'

export interface MemberProcessOptions {
  readonly number: number
  /** The program and its arguments. */
  readonly command: readonly string[]
  /** Hears each line that it writes. */
  readonly write: (line: string, to: 'stdout' | 'stderr') => void
  readonly answer: (what: SupervisorQuestion) => Promise<unknown>
  /** Hears of the last counts of a process that ends by itself. */
  readonly counted: (member: MemberProcess, counts: LastCounts) => void
  /** Hears that it was told to stop by somebody else. */
  readonly leaving: (member: MemberProcess) => void
}

const LAST_WORDS_MS = 1000

export type MemberState = 'starting' | 'ready' | 'serving' | 'draining' | 'gone'

/** One process that serves, as its supervisor has it. */
export interface MemberProcess {
  readonly number: number
  readonly pid: number
  readonly state: MemberState
  /** Resolves once its models are loaded. Rejects where it ends before. */
  readonly ready: Promise<void>
  /** Resolves as soon as it is gone, with its exit code or the signal that ended it. */
  readonly gone: Promise<number | string>
  /** Its exit code, 1 where a signal ended it, once all that it wrote has been passed on. */
  readonly exited: Promise<number>
  /** Hands a listening socket over; resolves once it accepts there. */
  listen(socket: ListeningSocket, message: { readonly base: string; readonly isAnnounced: boolean }): Promise<void>
  /** Has it accept from the socket of another place as well, until `release`. False where it is gone. */
  rescue(place: number, socket: ListeningSocket): boolean
  release(place: number): void
  ask<Q extends MemberQuestion>(what: Q, timeoutMs: number): Promise<Answers[Q]>
  tell(message: ToMember): void
  drain(): void
  kill(): void
}

/** Starts a process that serves. */
export function startMember({ number, command, write, answer, counted, leaving }: MemberProcessOptions): MemberProcess {
  let state: MemberState = 'starting'
  const ready = Promise.withResolvers<void>()
  const listening = Promise.withResolvers<void>()
  // Nobody may be waiting for these when they fail.
  for (const { promise } of [ready, listening]) promise.catch(() => undefined)
  const heard = (message: FromMember) => {
    if (message.kind === 'answer') questions.answered(message.id, message.answer)
    else if (message.kind === 'goodbye') counted(member, message)
    else if (message.kind === 'question') {
      const { id } = message
      void answer(message.what).then((answered) => member.tell({ kind: 'answer', id, answer: answered }))
    } else if (state === 'gone') {
      // What it said last may come after its end.
      return
    } else if (message.kind === 'leaving') {
      state = 'draining'
      leaving(member)
    } else {
      if (message.kind === 'ready') ready.resolve()
      else listening.resolve()
      state = message.kind === 'ready' ? 'ready' : 'serving'
    }
  }
  const silent = Promise.withResolvers<void>()
  const child = Bun.spawn([...command], {
    // The last is a local socket, through which a listening socket is handed over.
    stdio: ['ignore', 'pipe', 'pipe', 'socket-fd'],
    ipc: heard,
    onDisconnect: () => silent.resolve(),
  })
  const ownEnd = child.stdio[3]
  invariant(typeof ownEnd === 'number', 'a local socket is a descriptor here')
  const questions = createQuestions<MemberQuestion>((question) => member.tell(question))
  const copied = Promise.all([
    copyLines(child.stdout, (line) => write(line, 'stdout')),
    copyLines(child.stderr, (line) => write(line, 'stderr')),
  ])
  const gone = child.exited.then(() => {
    state = 'gone'
    const failure = new Error('the process has ended')
    ready.reject(failure)
    listening.reject(failure)
    questions.close()
    closeDescriptor(ownEnd)
    return child.exitCode ?? child.signalCode ?? 1
  })
  const exited = gone.then(async () => {
    // What it said last may still be on its way.
    await Promise.race([Promise.all([copied, silent.promise]), Bun.sleep(LAST_WORDS_MS)])
    return child.exitCode ?? 1
  })
  const member: MemberProcess = {
    number,
    pid: child.pid,
    get state() {
      return state
    },
    ready: ready.promise,
    gone,
    exited,
    listen({ descriptor, port }, message) {
      sendDescriptor(ownEnd, descriptor)
      member.tell({ kind: 'listen', port, ...message })
      return listening.promise
    },
    rescue(place, { descriptor }) {
      try {
        sendDescriptor(ownEnd, descriptor)
      } catch {
        // Its end is closed.
        return false
      }
      member.tell({ kind: 'rescue', place })
      return true
    },
    release: (place) => member.tell({ kind: 'release', place }),
    ask: (what, timeoutMs) => questions.ask(what, timeoutMs),
    tell: (message) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      try {
        child.send(message)
      } catch {
        // It is on its way out, and its end is told of next.
      }
    },
    drain() {
      state = 'draining'
      member.tell({ kind: 'drain' })
    },
    kill: () => child.kill('SIGKILL'),
  }
  return member
}
