import { isAlgorithm } from '../jose/algorithms.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'
import { checkRing, KEY_STATES, type KeyRing, type RingKey, verifyingIn } from '../jose/key-ring.ts'
import { importJwk, type Key } from '../jose/keys.ts'
import { isSealed, isSealing, type Sealed, type SealingParameters } from './sealing.ts'

/** A secret as it is stored in a file: a JWK, or sealed. */
export type StoredSecret = Jwk | Sealed

/** A key file (docs/reference/key-files.md): a ring, and how its secrets are sealed, if they are. */
export interface KeyFile {
  readonly ring: KeyRing<StoredSecret>
  readonly sealing?: SealingParameters
}

const FORMAT = 'vestal-keys'
const VERSION = 1
const MEMBERS = ['format', 'version', 'sealing', 'keys']
const TIMES = {
  created_at: 'createdAt',
  activated_at: 'activatedAt',
  retired_at: 'retiredAt',
  revoked_at: 'revokedAt',
  drop_at: 'dropAt',
}
const KEY_MEMBERS = ['kid', 'alg', 'state', 'public', 'secret', ...Object.keys(TIMES)]

type JsonRecord = Readonly<Record<string, unknown>>

/** True for a JSON value that is a key file, of whatever version, and not a JWK or a JWK Set. */
export function isKeyFile(value: unknown): boolean {
  return isRecord(value) && value.format === FORMAT
}

/**
 * Reads a key file and trusts nothing in it: every member is checked, and an unknown one is rejected.
 * @throws KeyError naming the key and the member
 */
export function parseKeyFile(value: unknown): KeyFile {
  if (!isRecord(value) || value.format !== FORMAT) throw new KeyError('is not a key file')
  if (value.version !== VERSION) throw new KeyError(`is a key file of another version; this one reads ${VERSION}`)
  rejectUnknown(value, MEMBERS, 'the key file')
  const { keys, sealing } = value
  if (!Array.isArray(keys)) throw new KeyError('the member "keys" is not a list')
  if (sealing !== undefined && !isSealing(sealing)) throw new KeyError('the member "sealing" is not one that this version reads')
  const ring = checkRing(keys.map((key: unknown, index) => parseKey(key, index)))
  if (sealing === undefined && ring.keys.some(({ secret }) => secret !== undefined && isSealed(secret)))
    throw new KeyError('a key is sealed, and the member "sealing" is missing')
  return { ring, ...(sealing && { sealing }) }
}

function parseKey(value: unknown, index: number): RingKey<StoredSecret> {
  if (!isRecord(value)) throw new KeyError(`key ${index + 1} is not an object`)
  const { kid, alg, state, public: publicJwk, secret } = value
  if (typeof kid !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(kid))
    throw new KeyError(`the "kid" of key ${index + 1} is not a string of 1 to 128 visible characters`)
  const name = `the key ${kid}`
  rejectUnknown(value, KEY_MEMBERS, name)
  if (!isAlgorithm(alg)) throw new KeyError(`"alg" of ${name} is not a signature algorithm known here`)
  const known = KEY_STATES.find((candidate) => candidate === state)
  if (known === undefined) throw new KeyError(`"state" of ${name} is not one of ${KEY_STATES.join(', ')}`)
  for (const [member, part] of Object.entries({ public: publicJwk, secret })) {
    if (part !== undefined && !isRecord(part)) throw new KeyError(`"${member}" of ${name} is not an object`)
  }
  const times = Object.entries(TIMES).map(
    ([member, field]) => [field, parseTime(value[member], `"${member}" of ${name}`)] as const,
  )
  if (value.created_at === undefined) throw new KeyError(`"created_at" of ${name} is missing`)
  const parts = { ...(isRecord(publicJwk) && { publicJwk }), ...(isRecord(secret) && { secret }) }
  // The cast: `created_at` is there, and each time that is there has been read.
  const read = Object.fromEntries(times.filter(([, time]) => time !== undefined)) as unknown as Pick<RingKey, 'createdAt'>
  return { kid, algorithm: alg, state: known, ...read, ...parts }
}

function parseTime(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const ms = typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw new KeyError(`${name} is not a time such as 2026-01-31T12:00:00Z`)
  return ms / 1000
}

function rejectUnknown(value: JsonRecord, members: readonly string[], name: string): void {
  const unknown = Object.keys(value).find((member) => !members.includes(member))
  if (unknown !== undefined) throw new KeyError(`${name} has the unknown member ${JSON.stringify(unknown.slice(0, 60))}`)
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text of a key file. */
export function formatKeyFile({ ring, sealing }: KeyFile): string {
  const file = { format: FORMAT, version: VERSION, ...(sealing && { sealing }), keys: ring.keys.map(formatKey) }
  return `${JSON.stringify(file, null, 2)}\n`
}

function formatKey(key: RingKey<StoredSecret>) {
  const { kid, algorithm: alg, state, publicJwk, secret } = key
  return { kid, alg, state, ...timesOf(key), ...(publicJwk && { public: publicJwk }), ...(secret && { secret }) }
}

/** The times of a key as the file and `keys list --json` write them. */
export function timesOf(key: RingKey<unknown>): Readonly<Record<string, string>> {
  const entries = Object.entries(TIMES).flatMap(([member, field]) => {
    // The cast: `TIMES` names fields of `RingKey` that are numbers.
    const time = key[field as 'createdAt']
    return time === undefined ? [] : [[member, textOfTime(time)]]
  })
  return Object.fromEntries(entries)
}

/** `2026-01-31T12:00:00Z` */
export function textOfTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

/** The keys of a file as tokens need them. */
export interface OpenedKeys {
  /** All that verify now: next, active, retired. */
  readonly keys: readonly Key[]
  /** The active key; absent in a ring without one. */
  readonly signing?: Key
  /** When retired keys are dropped, in seconds since 1970, by key id. */
  readonly dropTimes: ReadonlyMap<string, number>
}

/**
 * Imports the keys that verify at a time, under the rules of every key. Only a secret that is needed is opened: that of the active key,
 * and those of shared secrets.
 * @throws KeyError naming the key that cannot be used
 */
export function openKeys({ ring }: KeyFile, now: number, open: (kid: string, sealed: Sealed) => Jwk): OpenedKeys {
  const current = verifyingIn(ring, now)
  const keys = current.map((key) => importRingKey(key, open))
  const signing = keys[current.findIndex(({ state }) => state === 'active')]
  const dropTimes = new Map(current.flatMap(({ kid, dropAt }) => (dropAt === undefined ? [] : [[kid, dropAt] as const])))
  return { keys, dropTimes, ...(signing && { signing }) }
}

function importRingKey(
  { kid, algorithm, state, publicJwk, secret }: RingKey<StoredSecret>,
  open: (kid: string, sealed: Sealed) => Jwk,
): Key {
  try {
    const isNeeded = state === 'active' || publicJwk === undefined
    const jwk = isNeeded && secret !== undefined ? (isSealed(secret) ? open(kid, secret) : secret) : publicJwk
    // A file whose parts disagree was changed by hand: a key would verify under a name that is another's.
    const key = importJwk({ ...jwk, kid }, { algorithm })
    if (
      publicJwk !== undefined &&
      !importJwk({ ...publicJwk, kid }, { algorithm, isPublicOnly: true }).verifying.equals(key.verifying)
    )
      throw new KeyError('its private and its public part are of two keys')
    return key
  } catch (error) {
    if (error instanceof KeyError) throw new KeyError(`the key ${kid}: ${error.message}`)
    throw error
  }
}
