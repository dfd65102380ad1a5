import type { MemberProcess } from './member-process.ts'
import type { ReloadOutcome } from './messages.ts'

/** An issuer's keys may be fetched meanwhile. */
const PREPARE_MS = 15_000
const APPLY_MS = 5000

/** Has all processes check the settings, and then take them: all of them, or none. */
export async function reloadTogether(members: readonly MemberProcess[]): Promise<ReloadOutcome> {
  const outcomes = await Promise.all(
    members.map((member) => member.ask('prepare', PREPARE_MS).catch((error: Error) => silent(member, error))),
  )
  const faults = new Set(outcomes.flatMap((outcome) => (outcome.kind === 'wrong' ? outcome.faults : [])))
  const [first] = outcomes.filter(({ kind }) => kind === 'right')
  const isRight = faults.size === 0 && first !== undefined
  // One that does not answer now has ended, or reads what is right when it starts again.
  await Promise.all(members.map((member) => member.ask(isRight ? 'apply' : 'discard', APPLY_MS).catch(() => undefined)))
  return isRight ? first : { kind: 'wrong', faults: [...faults] }
}

function silent({ number }: MemberProcess, error: Error): ReloadOutcome {
  return { kind: 'wrong', faults: [`process ${number}: ${error.message}`] }
}
