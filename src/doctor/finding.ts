import type { Environment } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'

/** What one look found: all right, good to know, or something to do. */
export type Finding =
  | { readonly level: 'right' | 'note'; readonly message: string }
  | { readonly level: 'wrong'; readonly message: string; readonly todo: string }

/** What is looked at. */
export interface Subject {
  /** As they could be read: a setting with a fault has its default. */
  readonly settings: Settings
  readonly faults: readonly string[]
  readonly warnings: readonly string[]
  readonly mode: Mode
  readonly environment: Environment
  /** `vestal.toml`, or the file used in its place, where there is one. */
  readonly file?: { readonly path: string; readonly hasSecrets: boolean }
}

/** One look at the set-up: it says what it finds, and changes nothing. */
export interface Check {
  readonly name: string
  readonly look: (subject: Subject) => readonly Finding[] | Promise<readonly Finding[]>
}

/** It is as it should be. */
export function right(message: string): Finding {
  return { level: 'right', message }
}

/** Nothing to do, and good to know. */
export function note(message: string): Finding {
  return { level: 'note', message }
}

/** Something is wrong, and this is what to do. */
export function wrong(message: string, todo: string): Finding {
  return { level: 'wrong', message, todo }
}

/** The findings, or one that says that all is right where there are none. */
export function orRight(findings: readonly Finding[], message: string): readonly Finding[] {
  return findings.length > 0 ? findings : [right(message)]
}

/** What an error says, of its cause where it has one. */
export function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}
