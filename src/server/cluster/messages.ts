import type { Reloaded } from '../../http/reload.ts'
import type { JournalEntry } from '../../inference/remote/journal.ts'
import type { FamilySnapshot } from '../../telemetry/metrics/family.ts'

/** What a supervisor asks of one of its processes. */
export type MemberQuestion = 'alive' | 'metrics' | 'prepare' | 'apply' | 'discard'
/** What a process asks of its supervisor. */
export type SupervisorQuestion = 'metrics' | 'reload'

/** What reading the settings came to, in one process or in all of them. */
export type ReloadOutcome =
  | { readonly kind: 'right'; readonly reloaded: Reloaded }
  | { readonly kind: 'wrong'; readonly faults: readonly string[] }

/** Answers by question. */
export interface Answers {
  readonly alive: null
  readonly metrics: readonly FamilySnapshot[]
  readonly prepare: ReloadOutcome
  readonly apply: null
  readonly discard: null
  readonly reload: ReloadOutcome
}

/** What a process has counted when it ends. */
export type LastCounts = Pick<Answers, 'metrics'>

/** What the next engine process needs, to serve what the one before did. */
export interface EngineState {
  /** Models that the first start has loaded; absent before. */
  readonly started?: readonly string[]
  /** An engine process has served before. */
  readonly hasServed?: true
  /** What requests have loaded and unloaded since. */
  readonly entries: readonly JournalEntry[]
}

interface Asked<Q> {
  readonly kind: 'question'
  readonly id: number
  readonly what: Q
}
interface Answered {
  readonly kind: 'answer'
  readonly id: number
  readonly answer: unknown
}

/** From the supervisor to one of its processes. */
export type ToMember =
  | Asked<MemberQuestion>
  | Answered
  /** To the engine process, first of all; the folder is for files that requests bring. */
  | { readonly kind: 'restore'; readonly state: EngineState; readonly folder: string | undefined }
  /** The descriptors of a link between an HTTP process and the engine process were sent before it: a socket, and so many files. */
  | { readonly kind: 'link'; readonly files: number }
  /** The descriptor of a listening socket was sent before it: accept from there. */
  | { readonly kind: 'listen'; readonly base: string; readonly port: number; readonly isAnnounced: boolean }
  /** The same for the socket of a place whose process is gone, until another has it. */
  | { readonly kind: 'rescue'; readonly place: number }
  | { readonly kind: 'release'; readonly place: number }
  /** Another has taken the place: accept no more, and end once every connection is closed. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' }
  /** The supervisor was told by a signal to have the settings read again: one process notes what came of it. */
  | { readonly kind: 'reloaded'; readonly outcome: ReloadOutcome }

/** From a process to its supervisor. */
export type FromMember =
  | Asked<SupervisorQuestion>
  | Answered
  /** It hears what it is told. */
  | { readonly kind: 'joined' }
  /** It has been without a link for a while. */
  | { readonly kind: 'unlinked' }
  /** What the next engine process needs. */
  | { readonly kind: 'journal'; readonly state: EngineState }
  /** The models are loaded. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening' }
  /** It was told to stop by a signal of its own, and soon accepts no more. */
  | { readonly kind: 'leaving' }
  /** What it counted until its end. */
  | ({ readonly kind: 'goodbye' } & LastCounts)
