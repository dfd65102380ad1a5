import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AuditEvent } from '../accounts/audit.ts'
import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import { PASSPHRASE_BYTES_MIN } from '../config/settings/tokens.ts'
import type { Settings } from '../config/settings.ts'
import { type Algorithm, isAlgorithm } from '../jose/algorithms.ts'
import { type GeneratedKey, generateKey, partsOf } from '../jose/generate-key.ts'
import { KeyError } from '../jose/key-error.ts'
import {
  addKey,
  type ChangeOptions,
  KEEP_SECONDS,
  type KeyRing,
  prune,
  type RingKey,
  retire,
  revoke,
  rotate,
  stateIn,
} from '../jose/key-ring.ts'
import { importKeys } from '../jose/key-set.ts'
import { KEY_SET_SECONDS } from '../jose/public-key-set.ts'
import { withFileLock } from '../keys/file-lock.ts'
import { formatKeyFile, isKeyFile, type KeyFile, parseKeyFile, type StoredSecret, textOfTime, timesOf } from '../keys/key-file.ts'
import { createSealer, isSealed, newSealing, type Sealer } from '../keys/sealing.ts'
import { promptSecret } from '../platform/prompt.ts'
import { writeWhole } from '../platform/write-whole.ts'
import { openDatabase } from '../server/accounts.ts'
import { keyFilePath, readKeyFile } from '../server/load-keys.ts'
import { type AuditLog, createAuditLog } from '../storage/audit-log.ts'
import { readAction } from './action.ts'

export const KEYS_FLAGS: readonly FlagRow[] = [
  { name: 'json', help: 'Print JSON in place of a table.' },
  { name: 'encrypt', help: 'Seal private keys with a passphrase: that of VESTAL_KEY_PASSPHRASE, or one that is asked for.' },
  { name: 'from', value: 'FILE', help: 'Take the key of a PEM, a JWK or a secret in place of a new one (generate).' },
  {
    name: 'keep-seconds',
    value: 'SECONDS',
    help: `How long a retired key still verifies, 0 to 31536000, default ${KEEP_SECONDS}; at least the longest life of a token.`,
  },
]

/** What may follow `vestal keys`. */
export const KEYS_ACTIONS = ['generate', 'list', 'rotate', 'retire', 'revoke'] as const
const SYNONYMS = {
  generate: ['create', 'add', 'new', 'make', 'init'],
  list: ['ls', 'show', 'get', 'all'],
  rotate: ['roll', 'next'],
  retire: ['expire', 'disable'],
  revoke: ['remove', 'delete', 'rm', 'del'],
} as const
type Action = (typeof KEYS_ACTIONS)[number]
const KEEP_SECONDS_MAX = 31_536_000
/** What is signed with when nothing names another: short, and known to every library. */
const ALGORITHM = 'ES256'

interface Asked extends ChangeOptions {
  readonly action: Action
  /** Needed to retire and to revoke. */
  readonly kid: string
  readonly path: string
  readonly isEncrypted: boolean
  /** A file with a key that exists already. */
  readonly from: string | undefined
  readonly settings: Settings
}

type Ring = KeyRing<StoredSecret>

const NO_KEYS: KeyFile = { ring: { keys: [] } }

/** `vestal keys`: makes, lists, rotates, retires and revokes the keys of a key file. A running server takes the change up by itself. */
export async function keys(settings: Settings, args: Arguments): Promise<void> {
  const asked = readAsked(settings, args)
  try {
    const { action, kid } = asked
    const { ring } = action === 'list' ? readFile(asked.path) : change(asked)
    console.log(args.switches.has('json') ? keysAsJson(ring) : keysAsTable(ring))
    if (action !== 'list') await auditKeyChange(settings, { action, ring, ...(kid !== '' && { kid }) })
  } catch (error) {
    if (error instanceof KeyError) throw new SettingsError([`${asked.path}: ${error.message}`])
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    if (code === undefined || error instanceof SettingsError) throw error
    throw new SettingsError([`${asked.path}: cannot be written there (${code})`])
  }
}

function readAsked(settings: Settings, { words, values, switches }: Arguments): Asked {
  const [name, kid, ...others] = words
  const faults: string[] = []
  const action = readAction('keys', name, { actions: KEYS_ACTIONS, synonyms: SYNONYMS })
  const needsKid = action === 'retire' || action === 'revoke'
  if (needsKid && (kid === undefined || others.length > 0))
    faults.push(`keys ${name}: needs one key id; vestal keys list shows them`)
  if (!needsKid && kid !== undefined) faults.push(`keys ${name}: takes no ${JSON.stringify(kid.slice(0, 60))}`)
  const from = values.get('from')?.at(-1)
  if (from !== undefined && action !== 'generate') faults.push('--from: goes with generate')
  const keep = values.get('keep-seconds')?.at(-1)
  const keepSeconds = keep === undefined ? KEEP_SECONDS : Number(keep)
  if ((keep !== undefined && !/^\d{1,9}$/.test(keep)) || keepSeconds > KEEP_SECONDS_MAX)
    faults.push(`--keep-seconds: must be a whole number from 0 to ${KEEP_SECONDS_MAX}, got ${JSON.stringify(keep)}`)
  if (faults.length > 0) throw new SettingsError(faults)
  const path = keyFilePath(settings)
  const now = Math.floor(Date.now() / 1000)
  return { action, kid: kid ?? '', path, from, isEncrypted: switches.has('encrypt'), settings, now, keepSeconds }
}

function readFile(path: string): KeyFile {
  if (!existsSync(path)) throw new KeyError('there is no such file; vestal keys generate makes one')
  const content = readKeyFile(path)
  if (!isKeyFile(content)) throw new KeyError('is not a key file of vestal keys, and is left as it is; --key-file names another')
  return parseKeyFile(content)
}

function change(asked: Asked): KeyFile {
  const { action, settings } = asked
  if (!existsSync(asked.path)) {
    if (action !== 'generate') throw new KeyError('there is no such file; vestal keys generate makes one')
    mkdirSync(dirname(asked.path), { recursive: true, mode: 0o700 })
  }
  if (settings.secret !== undefined) console.error('warning: VESTAL_SECRET is set, and then no key file is used')
  // A link is followed: replacing it would leave the file that it points to as it was.
  const path = existsSync(asked.path) ? realpathSync(asked.path) : asked.path
  // Asked for before the lock is taken, so that no other command waits for typing.
  const passphrase = passphraseFor(existsSync(path) ? readFile(path) : NO_KEYS, asked)
  return withFileLock(path, () => {
    const before: KeyFile = existsSync(path) ? readFile(path) : NO_KEYS
    const vault = createVault(before, asked, passphrase)
    const ring = vault.sealAll(changed(prune(before.ring, asked.now), asked, vault))
    const sealing = vault.sealing()
    const after = { ring, ...(sealing && { sealing }) }
    writeWhole(path, formatKeyFile(after))
    return after
  })
}

function changed(ring: Ring, asked: Asked, vault: Vault): Ring {
  const { action, kid } = asked
  if (action === 'generate') return withFresh(ring, asked, vault)
  const isHandedOver = needsSuccessor(ring, asked)
  const waiting = stateIn(ring, 'next')
  // Nothing may stop a key from being taken out of use, so a successor is made where none waits.
  const ready = isHandedOver && waiting === undefined ? withFresh(ring, asked, vault) : ring
  if (isHandedOver) warnOfSuccessor(waiting, asked)
  if (action === 'rotate') return rotate(ready, asked)
  return action === 'retire' ? retire(ready, kid, asked) : revoke(ready, kid, asked)
}

/** True where another key has to sign afterwards. */
function needsSuccessor(ring: Ring, { action, kid }: Asked): boolean {
  return action === 'rotate' || stateIn(ring, 'active')?.kid === kid
}

/** Says so where not every verifier has had the time to learn of the key that signs from now on. */
function warnOfSuccessor(waiting: RingKey<StoredSecret> | undefined, { now }: Asked): void {
  if (waiting === undefined) {
    console.error('warning: no key was next, so one was made; verifiers learn of it when they fetch the keys again')
  } else if (waiting.publicJwk !== undefined && now - waiting.createdAt < KEY_SET_SECONDS) {
    console.error(`warning: verifiers may keep the published keys for ${KEY_SET_SECONDS} s, and the next key is younger`)
  }
}

/** Adds a new key: of the algorithm asked for, else of the one that signs now. */
function withFresh(ring: Ring, asked: Asked, vault: Vault): Ring {
  const named = asked.settings.algorithm
  const wanted = isAlgorithm(named) ? named : undefined
  const made =
    asked.from === undefined
      ? generateKey(wanted ?? stateIn(ring, 'active')?.algorithm ?? ALGORITHM)
      : takenFrom(asked.from, wanted)
  const { kid, algorithm, secret, publicJwk } = made
  const key = { kid, algorithm, createdAt: asked.now, secret: vault.seal(kid, secret), ...(publicJwk && { publicJwk }) }
  return addKey(ring, key, asked)
}

/** The key of a file that servers have used so far, so that what it signed stays good when a ring takes over. */
function takenFrom(path: string, algorithm: Algorithm | undefined): GeneratedKey {
  try {
    const [key, second] = importKeys(readKeyFile(path), { isOneAlgorithm: true, ...(algorithm && { algorithm }) })
    if (key === undefined || second !== undefined) throw new KeyError('holds more than one key')
    return partsOf(key)
  } catch (error) {
    throw error instanceof KeyError ? new SettingsError([`${path}: ${error.message}`]) : error
  }
}

interface Vault {
  readonly seal: (kid: string, secret: StoredSecret) => StoredSecret
  readonly sealAll: (ring: Ring) => Ring
  readonly sealing: () => KeyFile['sealing']
}

/** Seals what is written where the file is sealed already, or is to be from now on. */
function createVault({ ring, sealing }: KeyFile, { isEncrypted }: Asked, passphrase: string | undefined): Vault {
  let sealer: Sealer | undefined
  const isSealing = sealing !== undefined || isEncrypted
  const sealerOf = () => {
    if (sealer !== undefined) return sealer
    if (passphrase === undefined) throw new KeyError('the keys were changed meanwhile; try again')
    sealer = createSealer(sealing ?? newSealing(), passphrase)
    // A wrong passphrase would seal a new key so that the right one does not open it.
    const known = ring.keys.find(({ secret }) => secret !== undefined && isSealed(secret))
    if (known?.secret !== undefined && isSealed(known.secret)) sealer.open(known.kid, known.secret)
    return sealer
  }
  const seal = (kid: string, secret: StoredSecret) => (isSealing && !isSealed(secret) ? sealerOf().seal(kid, secret) : secret)
  return {
    seal,
    sealAll: ({ keys }) => ({
      keys: keys.map((key) => (key.secret === undefined ? key : { ...key, secret: seal(key.kid, key.secret) })),
    }),
    sealing: () => sealing ?? sealer?.parameters,
  }
}

/** The passphrase, where the change will seal something: that of the environment, or one that is typed, twice where it is new. */
function passphraseFor({ ring, sealing }: KeyFile, asked: Asked): string | undefined {
  const { action, isEncrypted, path, settings } = asked
  const isNeeded =
    isEncrypted ||
    (sealing !== undefined && (action === 'generate' || (needsSuccessor(ring, asked) && stateIn(ring, 'next') === undefined)))
  if (!isNeeded || settings.keyPassphrase !== undefined) return settings.keyPassphrase
  const typed = promptSecret(`Passphrase of ${path}`)
  if (typed === undefined) throw new KeyError('a passphrase is needed; set VESTAL_KEY_PASSPHRASE')
  if (Buffer.byteLength(typed) < PASSPHRASE_BYTES_MIN)
    throw new KeyError(`the passphrase is shorter than ${PASSPHRASE_BYTES_MIN} bytes`)
  if (sealing === undefined && promptSecret('The same again') !== typed)
    throw new KeyError('the two passphrases are not the same')
  return typed
}

const EVENTS = {
  generate: 'key-generated',
  rotate: 'key-rotated',
  retire: 'key-retired',
  revoke: 'key-revoked',
} as const

/** A change that the command line has made to a key file. */
interface KeyChange {
  readonly action: keyof typeof EVENTS
  /** The key that was named; absent where none is. */
  readonly kid?: string
  /** The keys as they are now. */
  readonly ring: KeyRing<unknown>
}

/** Notes a change of the keys where accounts have an audit log. The keys are changed already, so a log that fails is a warning. */
async function auditKeyChange(settings: Settings, { action, kid, ring }: KeyChange): Promise<void> {
  if (settings.accounts === 'off') return
  const subject =
    kid ?? ring.keys.find(({ state }) => state === (action === 'rotate' ? 'active' : 'next'))?.kid ?? ring.keys[0]?.kid
  const event: AuditEvent = {
    event: EVENTS[action],
    actor: 'command-line',
    ...(subject !== undefined && { subject }),
    reason: ring.keys.map((key) => `${key.kid} ${key.state}`).join(', '),
  }
  try {
    await write(settings, event)
  } catch (error) {
    console.error(`warning: the audit log does not have this change: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function write(settings: Settings, event: AuditEvent): Promise<void> {
  const { auditTo: to, data: folder } = settings
  const warn = (message: string) => console.error(`warning: ${message}`)
  const open = (store?: Parameters<typeof createAuditLog>[0]['store']): AuditLog =>
    createAuditLog({ to, folder, now: Date.now, warn, ...(store && { store }) })
  if (to === 'file') return open().write(event)
  const store = openDatabase(settings)
  try {
    await store.migrate()
    const log = open(store)
    log.write(event)
    await log.flush()
  } finally {
    await store.close()
  }
}

/** The keys of a ring as JSON, without a secret of them. */
function keysAsJson({ keys }: KeyRing<unknown>): string {
  const rows = keys.map((key) => ({ kid: key.kid, alg: key.algorithm, state: key.state, ...timesOf(key) }))
  return JSON.stringify({ keys: rows }, null, 2)
}

/** The keys of a ring as a table, without a secret of them. */
function keysAsTable({ keys }: KeyRing<unknown>): string {
  const rows = [['KEY ID', 'ALGORITHM', 'STATE', 'SINCE', 'DROPPED'], ...keys.map(cellsOf)]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return lines.map((line) => line.trimEnd()).join('\n')
}

function cellsOf(key: RingKey<unknown>): readonly string[] {
  const since = key.revokedAt ?? key.retiredAt ?? key.activatedAt ?? key.createdAt
  return [key.kid, key.algorithm, key.state, textOfTime(since), key.dropAt === undefined ? '-' : textOfTime(key.dropAt)]
}
