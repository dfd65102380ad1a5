import { SettingsError } from '../../config/load.ts'
import type { Reloaded } from '../../http/reload.ts'
import { type MemberProcess, nameOf } from './member-process.ts'
import type { ReloadOutcome } from './messages.ts'

/** Whether processes take settings and go on, or are replaced after that. */
export type ReloadKind = 'reload' | 'roll'

/** An issuer's keys may be fetched meanwhile. */
const PREPARE_MS = 15_000
const APPLY_MS = 5000

/** Has all processes check the settings, and then take them: all of them, or none. */
export async function reloadTogether(members: readonly MemberProcess[], kind: ReloadKind): Promise<ReloadOutcome> {
  const outcomes = await Promise.all(
    members.map((member) => member.ask('prepare', PREPARE_MS).catch((error: Error) => silent(member, error, kind))),
  )
  const told = outcomes.filter((outcome) => outcome !== undefined)
  const faults = new Set(told.flatMap((outcome) => (outcome.kind === 'wrong' ? outcome.faults : [])))
  const [first] = told.filter((outcome) => outcome.kind === 'right')
  const isRight = faults.size === 0 && first !== undefined
  // One that does not answer now has ended, or reads what is right when it starts again.
  await Promise.all(members.map((member) => member.ask(isRight ? 'apply' : 'discard', APPLY_MS).catch(() => undefined)))
  if (isRight) return first
  return { kind: 'wrong', faults: faults.size === 0 ? ['processes: none serves that could read the settings'] : [...faults] }
}

/** A process that has ended is followed by one that reads the settings anew; so is one that hangs, where all are replaced. */
function silent(member: MemberProcess, error: Error, kind: ReloadKind): ReloadOutcome | undefined {
  if (member.state === 'gone' || kind === 'roll') return undefined
  return { kind: 'wrong', faults: [`${nameOf(member)}: ${error.message}`] }
}

/** What a reload came to. @throws SettingsError */
export function reloadedBy(outcome: ReloadOutcome): Reloaded {
  if (outcome.kind === 'wrong') throw new SettingsError(outcome.faults)
  return outcome.reloaded
}
