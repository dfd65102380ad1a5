import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { isAlgorithm } from '../jwt/algorithms.ts'
import { bytesOfBase64url, isCanonicalBase64url } from '../jwt/base64url.ts'
import type { Jwk } from '../jwt/jwk-members.ts'
import { KeyError } from '../jwt/key-error.ts'
import { importKeys, type KeyInput } from '../jwt/key-set.ts'
import type { JwkSet, Key } from '../jwt/keys.ts'

export interface LoadedKeys {
  readonly keys: readonly Key[]
  /** The key that signs; absent where all are public. */
  readonly signing?: Key
  /** Where the keys are from, for the start message. */
  readonly description: string
  readonly warnings: readonly string[]
}

/** Bytes of the development secret: enough for HS512. */
const SECRET_BYTES = 64
const FILE_BYTES_MAX = 1024 * 1024
const OTHERS = 0o077

/**
 * The keys that the settings name; in development mode without any, a random secret that is made once and kept.
 * @throws SettingsError saying what to set, or what is wrong with the key
 */
export function loadKeys(settings: Settings, mode: Mode): LoadedKeys {
  const { secret, keyFile, data } = settings
  if (secret !== undefined && keyFile !== undefined) {
    throw new SettingsError(['VESTAL_SECRET and VESTAL_KEY_FILE are both set; one of them must go'])
  }
  if (secret !== undefined)
    return imported(secret, settings, { source: 'VESTAL_SECRET', description: 'the secret of VESTAL_SECRET' })
  if (keyFile !== undefined) {
    const warnings = isOpenToOthers(keyFile) ? [`the key file ${keyFile} can be read by others; chmod 600 closes it`] : []
    return imported(readKeyFile(keyFile), settings, { source: keyFile, description: `the key file ${keyFile}`, warnings })
  }
  if (mode === 'production') throw new SettingsError(NO_KEY)
  const [bytes, warnings] = developmentSecret(data)
  const path = join(data, 'development-secret')
  return imported(bytes, settings, { source: path, description: `a random secret, kept in ${path}`, warnings })
}

const NO_KEY = [
  'in production mode a key is needed, and none is set. Set one of these:',
  '  VESTAL_SECRET=<text of at least 32 bytes>, such as VESTAL_SECRET="$(openssl rand -base64 48)"',
  '  VESTAL_KEY_FILE=<file with a PEM, a JWK or a JWK Set>',
  'Production mode is on because NODE_ENV is "production" or the host is not a loopback address.',
]

interface Origin {
  readonly source: string
  readonly description: string
  readonly warnings?: readonly string[]
}

function imported(input: KeyInput, { algorithm, interop }: Settings, { source, description, warnings = [] }: Origin): LoadedKeys {
  try {
    // One algorithm a key (RFC 8725 §3.1): the setting's, the JWK's, or the usual one of its kind. Flama's secrets name none.
    const isOneAlgorithm = interop === undefined
    const keys = importKeys(input, { isOneAlgorithm, ...(isAlgorithm(algorithm) && { algorithm }), ...(interop && { interop }) })
    const signing = keys.find(({ canSign }) => canSign)
    return { keys, description, warnings, ...(signing && { signing }) }
  } catch (error) {
    if (error instanceof KeyError) throw new SettingsError([`${source}: ${error.message}`])
    throw error
  }
}

function readKeyFile(path: string): KeyInput {
  const bytes = readSmallFile(path)
  const text = bytes.toString('utf8').trim()
  if (text.includes('-----BEGIN ')) return text
  if (!text.startsWith('{')) return Buffer.from(text, 'utf8').equals(bytes) ? text : trimmed(bytes)
  try {
    return JSON.parse(text) as Jwk | JwkSet
  } catch {
    throw new SettingsError([`${path}: begins as JSON and is not valid JSON`])
  }
}

/** The bytes of a secret without the line break that an editor adds. */
function trimmed(bytes: Buffer): Buffer {
  return bytes.at(-1) === 10 ? bytes.subarray(0, -1) : bytes
}

function readSmallFile(path: string): Buffer {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) throw new SettingsError([`${path}: is too large for a key file`])
    return readFileSync(path)
  } catch (error) {
    throw error instanceof SettingsError ? error : new SettingsError([`${path}: cannot be read`])
  }
}

/** Reads the secret of this folder, and makes it where there is none. Of several processes that start at once, one makes it. */
function developmentSecret(folder: string): readonly [bytes: Buffer, warnings: readonly string[]] {
  const path = join(folder, 'development-secret')
  if (statSync(path, { throwIfNoEntry: false }) === undefined) makeSecret(folder, path)
  const warnings = isOpenToOthers(path) ? [`${path} could be read by others; its mode is 600 again`] : []
  if (warnings.length > 0) chmodSync(path, 0o600)
  const text = readSmallFile(path).toString('utf8').trim()
  const bytes = isCanonicalBase64url(text) ? bytesOfBase64url(text) : Buffer.alloc(0)
  if (bytes.length !== SECRET_BYTES)
    throw new SettingsError([`${path}: does not hold a secret; delete it, and the next start makes a new one`])
  return [bytes, warnings]
}

/** Writes beside and links into place: the file is there whole or not at all, and a link does not replace what is there. */
function makeSecret(folder: string, path: string): void {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(temporary, `${randomBytes(SECRET_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    linkSync(temporary, path)
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    if (!isThere) throw new SettingsError([`${folder}: the development secret cannot be written there`])
  } finally {
    rmSync(temporary, { force: true })
  }
}

function isOpenToOthers(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return process.platform !== 'win32' && stat !== undefined && (stat.mode & OTHERS) !== 0
}
