import { SettingsError } from '../../config/load.ts'
import type { Reloaded, Reloading } from '../../http/reload.ts'
import { type ReloadLogs, reloadWith } from '../reload.ts'
import { type MemberProcess, nameOf } from './member-process.ts'
import type { ReloadOutcome } from './messages.ts'

/** An issuer's keys may be fetched meanwhile. */
const PREPARE_MS = 15_000
const APPLY_MS = 5000

/**
 * Has all processes prepare a reload, and then apply it: all of them, or none. After a `reload` they go on, after a `roll` they are replaced.
 */
export async function reloadTogether(members: readonly MemberProcess[], kind: 'reload' | 'roll'): Promise<ReloadOutcome> {
  const outcomes = await Promise.all(
    members.map((member) => member.ask('prepare', PREPARE_MS).catch((error: Error) => silent(member, error, kind))),
  )
  const answers = outcomes.filter((outcome) => outcome !== undefined)
  const faults = new Set(answers.flatMap((outcome) => (outcome.kind === 'wrong' ? outcome.faults : [])))
  const [first] = answers.filter((outcome) => outcome.kind === 'right')
  const isRight = faults.size === 0 && first !== undefined
  // One that does not answer now has ended, or reads what is right when it starts again.
  await Promise.all(members.map((member) => member.ask(isRight ? 'apply' : 'discard', APPLY_MS).catch(() => undefined)))
  if (isRight) return first
  return { kind: 'wrong', faults: faults.size === 0 ? ['processes: none serves that could read the settings'] : [...faults] }
}

/** A process that has ended is followed by one that reads the settings anew; so is one that hangs, where all are replaced. */
function silent(member: MemberProcess, error: Error, kind: 'reload' | 'roll'): ReloadOutcome | undefined {
  if (member.state === 'gone' || kind === 'roll') return undefined
  return { kind: 'wrong', faults: [`${nameOf(member)}: ${error.message}`] }
}

/** The outcome of a reload. @throws SettingsError */
export function reloadedBy(outcome: ReloadOutcome): Reloaded {
  if (outcome.kind === 'wrong') throw new SettingsError(outcome.faults)
  return outcome.reloaded
}

/** A reload in which all processes take part, reported by the one that was asked. */
export function reloadWithOthers(reloadAll: () => Promise<Reloaded>, logs: ReloadLogs): Reloading['reload'] {
  return reloadWith(async () => ({ apply: () => undefined, reloaded: await reloadAll() }), logs)
}
