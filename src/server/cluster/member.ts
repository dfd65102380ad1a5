import { SettingsError } from '../../config/load.ts'
import { invariant, never } from '../../core/invariant.ts'
import type { Gather } from '../../http/operations.ts'
import type { Reloaded } from '../../http/reload.ts'
import { createRemoteEngine, type RemoteEngine, type RemoteEngineOptions } from '../../inference/remote/client.ts'
import type { Link } from '../../inference/remote/link.ts'
import { receiveDescriptor } from '../../platform/c-library.ts'
import type { PreparedReload } from '../reload.ts'
import { closeLink, receiveLink } from './engine-links.ts'
import { createMemberListeners, type MemberListeners, type OpenInside } from './member-listeners.ts'
import type { FromMember, LastCounts, MemberQuestion, ReloadOutcome, ToMember } from './messages.ts'
import { createQuestions } from './questions.ts'
import { reloadedBy } from './reload-together.ts'

/** Where a supervisor's local socket is, through which a listening socket comes. */
export const SOCKET_DESCRIPTOR = 3
/** How long a process without a link waits for the supervisor to give it one by itself, as it does after an end. */
const UNLINKED_MS = 1000
const COUNTS_MS = 5000
const RELOAD_MS = 30_000

/** What the supervisor asks of any of its processes. */
export interface Duties {
  readonly counts: { readonly [K in keyof LastCounts]: () => LastCounts[K] }
  /** @throws SettingsError */
  readonly prepareReload: () => Promise<PreparedReload>
}

/** What the supervisor asks of a process that serves. */
export interface MemberDuties extends Duties {
  /** Another has the place: this one is to end once its connections are closed. */
  readonly drain: (listeners: MemberListeners) => void
  readonly stop: () => void
  /** The settings were read again in all processes because of a signal: this one is to say so. */
  readonly reloaded: (outcome: ReloadOutcome) => void
}

/** A process of several, as it sees the others. */
export interface Member {
  /** From 1 up; the one that takes its place has the same. */
  readonly number: number
  readonly count: number
  /** The engine, in the process of it; resolves once it is there. */
  readonly openEngine: (
    options: Omit<RemoteEngineOptions, 'lost'> & { readonly warn: (message: string) => void },
  ) => Promise<RemoteEngine>
  /** Reports that the models are loaded, and waits for a listening socket. Gives the address, and whether to announce it. */
  readonly listen: (open: OpenInside) => Promise<{ readonly base: string; readonly isAnnounced: boolean }>
  readonly serve: (duties: MemberDuties) => void
  /** Tells that this process was told to stop by a signal of its own. */
  readonly sayLeaving: () => void
  /** What all processes have counted. */
  readonly gatherMetrics: Gather['metrics']
  /** Settings read again by all processes, and applied in all of them. @throws SettingsError */
  readonly reloadAll: () => Promise<Reloaded>
  /** Tells what was counted, since nobody can ask any more. */
  readonly sayGoodbye: (counts: LastCounts) => Promise<void>
}

/** Joins the supervisor that started this process. Where it is gone, this process stops as well. */
export function joinSupervisor(number: number, count: number): Member {
  if (process.connected !== true) throw new SettingsError(['process: is started by `vestal start --processes`, and not by hand'])
  const send = (message: FromMember) => {
    // Where the supervisor is gone, nobody waits for it.
    if (process.connected === true) process.send?.(message)
  }
  const questions = createQuestions((question: FromMember & { readonly kind: 'question' }) => send(question))
  const told = Promise.withResolvers<{ readonly message: ToMember & { readonly kind: 'listen' }; readonly descriptor: number }>()
  const links = createLinks(() => send({ kind: 'unlinked' }))
  let listeners: MemberListeners | undefined
  let duties: MemberDuties | undefined
  const answer = createAnswerer(() => duties)
  const stop = () => {
    if (duties === undefined) process.exit(0)
    duties.stop()
  }
  process.on('message', (message: ToMember) => {
    // Descriptors come in the order of the messages, so each is taken with its own.
    if (message.kind === 'listen') told.resolve({ message, descriptor: receiveDescriptor(SOCKET_DESCRIPTOR) })
    else if (message.kind === 'link') links.take(receiveLink(SOCKET_DESCRIPTOR, message.files))
    else if (message.kind === 'answer') questions.answered(message.id, message.answer)
    else if (message.kind === 'question')
      void answer(message.what).then((answer) => send({ kind: 'answer', id: message.id, answer }))
    else if (message.kind === 'stop') stop()
    else if (message.kind === 'drain') {
      if (listeners !== undefined) duties?.drain(listeners)
    } else if (message.kind === 'rescue') listeners?.take(message.place, receiveDescriptor(SOCKET_DESCRIPTOR))
    else if (message.kind === 'release') listeners?.release(message.place)
    else if (message.kind === 'reloaded') duties?.reloaded(message.outcome)
    else if (message.kind !== 'restore') never(message)
  })
  process.on('disconnect', stop)
  // A terminal tells all of its processes; the supervisor decides what it means.
  process.on('SIGHUP', () => undefined)
  send({ kind: 'joined' })
  return {
    number,
    count,
    async openEngine({ warn, ...options }) {
      const lost = (reason: string | undefined) => {
        if (reason !== undefined) warn(`the engine process cannot be spoken to: ${reason}`)
        links.lost()
      }
      const remote = createRemoteEngine({ ...options, lost })
      links.use(remote)
      await remote.ready
      return remote
    },
    async listen(open) {
      send({ kind: 'ready' })
      const {
        message: { base, port, isAnnounced },
        descriptor,
      } = await told.promise
      listeners = createMemberListeners(open, port)
      listeners.take(number, descriptor)
      return { base, isAnnounced }
    },
    serve(given) {
      duties = given
      send({ kind: 'listening' })
    },
    sayLeaving: () => send({ kind: 'leaving' }),
    gatherMetrics: () => questions.ask('metrics', COUNTS_MS),
    reloadAll: async () =>
      reloadedBy(
        await questions.ask('reload', RELOAD_MS).catch((error: Error): ReloadOutcome => {
          return { kind: 'wrong', faults: [`the supervisor: ${error.message}`] }
        }),
      ),
    sayGoodbye: (counts) =>
      new Promise((resolve) => {
        if (process.connected !== true) resolve()
        else process.send?.({ kind: 'goodbye', ...counts } satisfies FromMember, undefined, undefined, () => resolve())
      }),
  }
}

/** Uses the links to engine processes that come, and asks for one where there is none. */
function createLinks(ask: () => void) {
  let remote: RemoteEngine | undefined
  let waiting: Link | undefined
  return {
    take(link: Link) {
      if (remote !== undefined) return remote.attach(link)
      if (waiting !== undefined) closeLink(waiting)
      waiting = link
    },
    use(opened: RemoteEngine) {
      remote = opened
      if (waiting !== undefined) remote.attach(waiting)
    },
    lost() {
      const timer = setTimeout(() => {
        if (remote?.isConnected === false) ask()
      }, UNLINKED_MS)
      timer.unref()
    },
  }
}

/** Answers the supervisor; settings that were prepared wait for one of `apply` and `discard`. */
export function createAnswerer(dutiesNow: () => Duties | undefined) {
  let prepared: PreparedReload | undefined
  return async (what: MemberQuestion): Promise<unknown> => {
    if (what === 'alive') return null
    const duties = dutiesNow()
    invariant(duties !== undefined, 'a process is asked once it serves')
    if (what === 'metrics') return duties.counts.metrics()
    if (what === 'prepare') {
      prepared?.discard()
      prepared = undefined
      try {
        prepared = await duties.prepareReload()
        return { kind: 'right', reloaded: prepared.reloaded } satisfies ReloadOutcome
      } catch (error) {
        // A bug of ours is told as well: thrown here, it would end every process at once.
        const faults = error instanceof SettingsError ? error.faults : [`settings: cannot be checked: ${String(error)}`]
        return { kind: 'wrong', faults } satisfies ReloadOutcome
      }
    }
    if (what === 'apply') prepared?.apply()
    else prepared?.discard()
    prepared = undefined
    return null
  }
}
