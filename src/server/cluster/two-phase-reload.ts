import { type ChildProcess, nameOf } from './child-process.ts'
import type { ReloadOutcome } from './ipc.ts'

/** An issuer's keys may be fetched meanwhile. */
const PREPARE_MS = 15_000
const APPLY_MS = 5000

/**
 * Reloads the settings of all processes in two phases: each prepares and checks, and then all apply, or all discard. After a `reload` the
 * processes go on; a `roll` replaces them next.
 */
export async function reloadProcesses(children: readonly ChildProcess[], kind: 'reload' | 'roll'): Promise<ReloadOutcome> {
  const outcomes = await Promise.all(
    children.map((child) => child.request('prepare', PREPARE_MS).catch((error: Error) => withoutResponse(child, error, kind))),
  )
  const known = outcomes.filter((outcome) => outcome !== undefined)
  const faults = new Set(known.flatMap((outcome) => (outcome.kind === 'wrong' ? outcome.faults : [])))
  const [first] = known.filter((outcome) => outcome.kind === 'right')
  const isRight = faults.size === 0 && first !== undefined
  // A process that does not respond now has ended, or reads the right settings when it starts again.
  await Promise.all(children.map((child) => child.request(isRight ? 'apply' : 'discard', APPLY_MS).catch(() => undefined)))
  if (isRight) return first
  return {
    kind: 'wrong',
    faults: faults.size === 0 ? ['processes: no process is serving, so none can check the settings'] : [...faults],
  }
}

/** The replacement of a process that has ended reads the settings anew; so does that of one that hangs, where all are replaced. */
function withoutResponse(child: ChildProcess, error: Error, kind: 'reload' | 'roll'): ReloadOutcome | undefined {
  if (child.state === 'gone' || kind === 'roll') return undefined
  return { kind: 'wrong', faults: [`${nameOf(child)}: ${error.message}`] }
}
