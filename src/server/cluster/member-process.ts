import { processEnvironment } from '../../config/environment.ts'
import { invariant } from '../../core/invariant.ts'
import type { Link } from '../../inference/remote/link.ts'
import { closeDescriptor, sendDescriptor } from '../../platform/c-library.ts'
import { copyLines } from './copy-lines.ts'
import type { ListeningSocket } from './listening-socket.ts'
import type { Answers, EngineState, FromMember, LastCounts, MemberQuestion, SupervisorQuestion, ToMember } from './messages.ts'
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
  /** Hears that it can be linked, and that it has been without a link for a while. */
  readonly joined: (member: MemberProcess) => void
  readonly unlinked: (member: MemberProcess) => void
  /** Hears what the next engine process needs. */
  readonly journal?: (state: EngineState) => void
  /** Folder of temporary files; default that of this process. */
  readonly temporaryFolder?: string | undefined
}

const LAST_WORDS_MS = 1000

export type MemberState = 'starting' | 'ready' | 'serving' | 'draining' | 'gone'

/** What a process is called in the log: 0 is the engine process. */
export function nameOf({ number }: Pick<MemberProcess, 'number'>): string {
  return number === 0 ? 'the engine process' : `process ${number}`
}

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
  /** Hands one end of a link over. False where it is gone. */
  link(end: Link): boolean
  ask<Q extends MemberQuestion>(what: Q, timeoutMs: number): Promise<Answers[Q]>
  tell(message: ToMember): void
  drain(): void
  kill(): void
}

/** Starts a process that serves. */
export function startMember(options: MemberProcessOptions): MemberProcess {
  const { number, command, write, answer, counted, leaving, joined, unlinked, journal, temporaryFolder } = options
  let state: MemberState = 'starting'
  const ready = Promise.withResolvers<void>()
  const listening = Promise.withResolvers<void>()
  // Nobody may be waiting for these when they fail.
  for (const { promise } of [ready, listening]) promise.catch(() => undefined)
  const heard = (message: FromMember) => {
    if (message.kind === 'answer') questions.answered(message.id, message.answer)
    else if (message.kind === 'goodbye') counted(member, message)
    else if (message.kind === 'journal') journal?.(message.state)
    else if (message.kind === 'question') {
      const { id } = message
      void answer(message.what).then((answered) => member.tell({ kind: 'answer', id, answer: answered }))
    } else if (state === 'gone') {
      // What it said last may come after its end.
      return
    } else if (message.kind === 'joined') joined(member)
    else if (message.kind === 'unlinked') unlinked(member)
    else if (message.kind === 'leaving') {
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
    env: { ...processEnvironment(), ...(temporaryFolder !== undefined && { TMPDIR: temporaryFolder }) },
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
    link({ socket, requests, answers }) {
      const files = [requests, answers].filter((file) => file !== undefined)
      try {
        for (const descriptor of [socket, ...files]) sendDescriptor(ownEnd, descriptor)
      } catch {
        // Its end is closed.
        return false
      }
      member.tell({ kind: 'link', files: files.length })
      return true
    },
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
