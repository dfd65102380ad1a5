import type { Logger } from '../../telemetry/log/logger.ts'
import { type MemberProcess, nameOf } from './member-process.ts'

export interface WatchTimes {
  /** Milliseconds between two questions, and until one counts as not answered; default 10 s. */
  readonly everyMs?: number
}

const EVERY_MS = 10_000
/** Questions in a row: one alone goes unanswered where it is the supervisor that was held up. */
const UNANSWERED_MAX = 3

/** Ends a process that does not answer any more, and so holds up whoever connects to it; another then takes its place. */
export async function watchMember(
  member: MemberProcess,
  { logger, everyMs = EVERY_MS }: WatchTimes & { readonly logger: Logger },
): Promise<void> {
  let unanswered = 0
  const isGone = () => member.state === 'gone'
  while (!isGone()) {
    const isAnswered = await member.ask('alive', everyMs).then(
      () => true,
      () => false,
    )
    // An end in the meantime is told by itself.
    if (isGone()) return
    unanswered = isAnswered ? 0 : unanswered + 1
    if (unanswered === UNANSWERED_MAX) {
      logger.error(`${nameOf(member)} does not answer for ${(unanswered * everyMs) / 1000} s and is ended`)
      return member.kill()
    }
    if (isAnswered) await Bun.sleep(everyMs)
  }
}
