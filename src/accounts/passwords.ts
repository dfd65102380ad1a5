import { VestalError } from '../core/errors.ts'

export interface PasswordOptions {
  /** Memory of one hash in KiB; default 19 456, OWASP's choice for two passes. */
  readonly memoryKiB?: number
  /** Passes over it; default 2. */
  readonly passes?: number
  /** Hashes computed at once; default 2. One takes `memoryKiB` and a core. */
  readonly atOnceMax?: number
  /** Hashes that wait; one more is rejected with 503. Default 64. */
  readonly waitingMax?: number
}

/** Hashes passwords, a bounded number at once. */
export interface Passwords {
  hash(password: string): Promise<string>
  /** Takes as long for an account that has no password, or is not there, as for one that has. */
  verify(password: string, hash: string | null | undefined): Promise<boolean>
  /** True for a hash made with less than today's parameters. */
  isWeak(hash: string): boolean
  /** How many hashes were computed. */
  readonly count: number
}

/** ASVS 5, 6.2.1 and 6.2.9; the limit is counted in bytes of UTF-8. */
const PASSWORD_LENGTH_MIN = 8
const PASSWORD_BYTES_MAX = 1024
const WAIT_SECONDS = 2

/**
 * What is wrong with a new password; undefined where nothing is. Length counts in characters as people see them, and nothing is
 * trimmed, cut or normalised: a password is checked as it was sent. There are no rules about kinds of characters (ASVS 5, 6.2.5).
 */
export function passwordFault(password: string, name = ''): string | undefined {
  if (!password.isWellFormed()) return 'must be well-formed Unicode'
  if (!hasCharacters(password, PASSWORD_LENGTH_MIN)) return `must have at least ${PASSWORD_LENGTH_MIN} characters`
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return `must have at most ${PASSWORD_BYTES_MAX} bytes`
  if (isCommonPassword(password)) return 'is one of the passwords that attackers try first'
  return name !== '' && password.toLowerCase() === name ? 'must not be the name of the account' : undefined
}

/** True for a text of so many characters as people see them, or more; it is read no further than that. */
function hasCharacters(text: string, count: number): boolean {
  let left = count
  for (const _ of new Intl.Segmenter().segment(text)) {
    left -= 1
    if (left === 0) return true
  }
  return false
}

/** Prepares argon2id with these parameters. */
export function createPasswords(options: PasswordOptions = {}): Passwords {
  const { memoryKiB = 19_456, passes = 2, atOnceMax = 2, waitingMax = 64 } = options
  const semaphore = createSemaphore({ atOnceMax, waitingMax })
  const parameters = { algorithm: 'argon2id', memoryCost: memoryKiB, timeCost: passes } as const
  let count = 0
  const inTurn = <T>(work: () => Promise<T>) => {
    return semaphore.run(() => {
      count += 1
      return work()
    }, busy)
  }
  const hash = (password: string) => inTurn(() => Bun.password.hash(password, parameters))
  // Compared with where there is no account: a hash of a random password, made once, so that both take as long.
  let decoy: Promise<string> | undefined
  return {
    hash,
    async verify(password, known) {
      const isKnown = typeof known === 'string'
      decoy ??= Bun.password.hash(crypto.randomUUID(), parameters)
      const compared = isKnown ? known : await decoy
      const isRight = await inTurn(() => Bun.password.verify(password, compared))
      return isKnown && isRight
    },
    isWeak(known) {
      const [, memory, time] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(known) ?? []
      return memory === undefined || time === undefined || Number(memory) * Number(time) < memoryKiB * passes
    },
    get count() {
      return count
    },
  }
}

function busy(): VestalError {
  return new VestalError('SIGN_IN_BUSY', {
    reason: 'too many passwords wait to be checked',
    headers: { 'retry-after': String(WAIT_SECONDS) },
  })
}

let common: ReadonlySet<string> | undefined

/** True for a password that attackers try first: one of some 18 000 of eight characters or more, whatever its capitals. Read at the first question. */
function isCommonPassword(password: string): boolean {
  common ??= new Set(commonPasswords())
  return common.has(password.toLowerCase())
}

/** The list, most used first: those of @zxcvbn-ts/language-common (MIT) that are long enough to be allowed at all. */
export function commonPasswords(): readonly string[] {
  // Not an import, which would unpack the list at every start.
  const { dictionary } = require('@zxcvbn-ts/language-common') as typeof import('@zxcvbn-ts/language-common')
  return dictionary['passwords-common'].filter((password) => password.length >= 8)
}

/** Runs up to a number of tasks at once and queues up to another number; more are rejected. */
interface Semaphore {
  /** Runs the work when a slot is free. `rejected` makes the error for a full queue. */
  run<T>(work: () => Promise<T>, rejected: () => Error): Promise<T>
}

/** Prepares a semaphore. */
function createSemaphore({ atOnceMax, waitingMax }: { readonly atOnceMax: number; readonly waitingMax: number }): Semaphore {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work, rejected) {
      if (running >= atOnceMax) {
        if (waiting.length >= waitingMax) throw rejected()
        // Whoever ends hands its place over, so `running` stays as it is.
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}
