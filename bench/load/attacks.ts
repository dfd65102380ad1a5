import { type Attack, bombs, slowReaders, sockets, stalledUploads, type Victim } from '../../test/support/memory-attacks.ts'

/** Attacks of one subject by what they are called in the report. */
export const ATTACKS: Readonly<Record<string, (victim: Victim) => Attack>> = {
  '40 gzip bodies of 64 KB that expand to 63 MiB, again and again': (victim) => bombs(victim, 40),
  '16 uploads that stall at 59 of 60 MiB': (victim) => stalledUploads(victim, { count: 16, mebibytes: 60 }),
  '200 clients that do not read answers of 8 MB': (victim) => slowReaders(victim, { count: 200, answerBytes: 8_000_000 }),
  '500 idle WebSockets': (victim) => sockets(victim, { count: 500 }),
  '500 WebSockets that stall at 1 000 000 bytes of a message': (victim) =>
    sockets(victim, { count: 500, messageBytes: 1_000_000 }),
}

/** What `attacker.ts` is given. */
export interface AttackOrder {
  /** A key of `ATTACKS`. */
  readonly attack: string
  readonly victim: Victim
}

/** What it says when it is ended: how often each status was the answer, 0 for none. */
export type AttackOutcome = readonly (readonly [status: number, count: number])[]
