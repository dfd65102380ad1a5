import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changeAccount, createAccount } from '../src/accounts/administration.ts'
import { createPasswords } from '../src/accounts/passwords.ts'
import { createRevocationList } from '../src/accounts/revocation-list.ts'
import type { AccountsContext } from '../src/accounts/service.ts'
import { signInWithPassword } from '../src/accounts/sign-in.ts'
import { createThrottle } from '../src/accounts/throttle.ts'
import { VestalError } from '../src/core/errors.ts'
import { signJwt } from '../src/jose/sign.ts'
import { openStore } from '../src/storage/open-store.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { report } from './harness/report.ts'
import { SECRET } from './servers/plan.ts'

const PASSWORD = 'four words and a half'
const ORIGIN = { address: '127.0.0.1', userAgent: 'bench' }
/** What nobody may tell apart by time (ASVS 5, 6.3.8): all of them are refused. */
const NAMES = {
  'a known name': 'known',
  'an unknown name': 'unknown',
  'a disabled account': 'disabled',
  'an account without a password': 'bare',
} as const

/** `bun run bench sign-in`: refused sign-ins in turns, with the parameters that the server has; the medians should be the same. */
export async function benchSignIn(attempts: number, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-'))
  const store = openStore(join(folder, 'vestal.db'))
  try {
    await store.migrate()
    const context: AccountsContext = {
      store,
      sign: (claims) => signJwt({ ...claims }, SECRET),
      apiKeysChanged: async () => undefined,
      passwords: createPasswords(),
      throttle: createThrottle({ accountMax: 1_000_000, addressMax: 10_000_000 }),
      revocations: createRevocationList(),
      audit: () => undefined,
      now: Date.now,
      lifetimes: { sessionSeconds: 3600, idleSeconds: 3600, graceSeconds: 10, accessTokenSeconds: 300 },
    }
    await fill(context)
    const samples = await measure(context, attempts)
    const rows = [...samples].map(([name, values]) => ({ name, note: '', figure: figureOf(values) }))
    const text = `${attempts} rejected sign-ins each, interleaved, over SQLite with argon2id at the server's parameters: timing must not reveal which names exist.`
    const title = 'A rejected sign-in'
    const section = { id: 'sign-in', title, text, unit: 'ms', isLessBetter: true, base: 'a known name', rows }
    report([section], { machine: describeMachine(), isKept })
  } finally {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function fill(context: AccountsContext): Promise<void> {
  const by = { actor: 'bench' }
  await createAccount(context, { name: 'known', password: PASSWORD }, by)
  await createAccount(context, { name: 'bare' }, by)
  const { id } = await createAccount(context, { name: 'disabled', password: PASSWORD }, by)
  await changeAccount(context, { id, isDisabled: true }, by)
}

async function measure(context: AccountsContext, attempts: number): Promise<ReadonlyMap<string, readonly number[]>> {
  const cases = Object.entries(NAMES)
  const samples = new Map(cases.map(([name]) => [name, [] as number[]]))
  for (let attempt = -5; attempt < attempts; attempt += 1) {
    for (let offset = 0; offset < cases.length; offset += 1) {
      const [name = '', login = ''] = cases[(Math.abs(attempt) + offset) % cases.length] ?? []
      const begun = performance.now()
      await refused(context, login)
      if (attempt >= 0) samples.get(name)?.push(performance.now() - begun)
    }
  }
  return samples
}

/** The disabled account is tried with its right password: it must not be told apart by that either. */
async function refused(context: AccountsContext, login: string): Promise<void> {
  const password = login === 'disabled' ? PASSWORD : 'a wrong password'
  const outcome = await signInWithPassword(context, { login, password, origin: ORIGIN, isLasting: true }).catch(
    (error: unknown) => error,
  )
  if (!(outcome instanceof VestalError) || outcome.code !== 'SIGN_IN_REFUSED') throw new Error(`${login} was not refused`)
}
