import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { isAlgorithm } from '../jose/algorithms.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'
import { importKeys, type KeyInput } from '../jose/key-set.ts'
import { isPem, type JwkSet, type Key } from '../jose/keys.ts'
import { publicKeySet } from '../jose/public-key-set.ts'
import { isKeyFile, openKeys, parseKeyFile } from '../keys/key-file.ts'
import { createSealer, type Sealed, type Sealer, type SealingParameters } from '../keys/sealing.ts'
import { promptSecret } from '../platform/prompt.ts'
import { isOpenToOthers, readSmallFile } from '../platform/small-file.ts'
import { developmentSecret, developmentSecretPath } from './development-secret.ts'

export interface LoadedKeys {
  readonly keys: readonly Key[]
  /** The signing key; absent where all keys are public. */
  readonly signing?: Key
  /** The public keys of this server itself, without those of trusted issuers. */
  readonly published: JwkSet
  /** Where the keys are from, for the start message. */
  readonly description: string
  readonly warnings: readonly string[]
  /** The file to watch; absent where the keys cannot change. */
  readonly path?: string
  /** True where the file is neither a PEM nor JSON: its bytes are a shared secret. */
  readonly isPlainSecret?: boolean
  /** When retired keys are dropped, in seconds since 1970, by key id. */
  readonly dropTimes?: ReadonlyMap<string, number>
}

/** The key file that `vestal keys` makes where no setting names one. */
export function keyFilePath({ keyFile, data }: Pick<Settings, 'keyFile' | 'data'>): string {
  return keyFile ?? join(data, 'keys.json')
}

/**
 * The keys that the settings name; in development mode without any, a random secret that is made once and kept.
 * @throws SettingsError naming the setting that is missing, or the fault of the key
 */
export function loadKeys(settings: Settings, mode: Mode): LoadedKeys {
  return createKeyLoader(settings, mode)()
}

/** Creates a function that loads the keys at each call, and prompts for a passphrase at most once. */
export function createKeyLoader(settings: Settings, mode: Mode): () => LoadedKeys {
  const { secret, key, keyFile, data } = settings
  rejectSeveral({ VESTAL_SECRET: secret, VESTAL_KEY: key, VESTAL_KEY_FILE: keyFile })
  if (secret !== undefined)
    return () => imported(secret, settings, { source: 'VESTAL_SECRET', from: 'the secret of VESTAL_SECRET' })
  if (key !== undefined) return () => loadText(key, settings)
  if (settings.jwksUrl !== undefined && keyFile === undefined) return () => NO_OWN_KEYS
  const path = keyFilePath(settings)
  const sealerFor = rememberSealer(path, settings.keyPassphrase)
  if (keyFile !== undefined || existsSync(path)) return () => loadFile(path, settings, sealerFor)
  if (settings.issuers.length > 0) return () => NO_OWN_KEYS
  if (!usesDevelopmentSecret(settings, mode)) throw new SettingsError(NO_KEY)
  return () => {
    const { bytes, warnings } = developmentSecret(data)
    const source = developmentSecretPath(data)
    return imported(bytes, settings, { source, from: `a random secret, kept in ${source}`, warnings })
  }
}

/** True where no key is configured and development mode creates one. */
export function usesDevelopmentSecret(settings: Settings, mode: Mode): boolean {
  const { secret, key, keyFile, jwksUrl, issuers } = settings
  const isNamed =
    secret !== undefined || key !== undefined || keyFile !== undefined || jwksUrl !== undefined || issuers.length > 0
  return mode === 'development' && !isNamed && !existsSync(keyFilePath(settings))
}

function rejectSeveral(given: Readonly<Record<string, unknown>>): void {
  const set = Object.keys(given).filter((name) => given[name] !== undefined)
  if (set.length < 2) return
  throw new SettingsError([`${set.join(' and ')} are ${set.length === 2 ? 'both' : 'all'} set; set only one`])
}

/** For a server that only accepts tokens of other issuers. */
const NO_OWN_KEYS: LoadedKeys = { keys: [], published: { keys: [] }, description: 'no key of its own', warnings: [] }

const NO_KEY = [
  'in production mode a key is needed, and none is set. Set one of these:',
  '  VESTAL_SECRET=<text of at least 32 bytes>, such as VESTAL_SECRET="$(openssl rand -base64 48)"',
  '  VESTAL_KEY=<the text of a PEM, a JWK or a JWK Set>',
  '  VESTAL_KEY_FILE=<file with a PEM, a JWK or a JWK Set>, or a key file that `vestal keys generate` makes',
  '  VESTAL_JWKS_URL=<where your identity provider publishes its keys>, with VESTAL_ISSUER and VESTAL_AUDIENCE',
  'Production mode is on because NODE_ENV is "production" or the host is not a loopback address.',
]

interface Origin {
  readonly source: string
  /** For the start message. */
  readonly from: string
  readonly warnings?: readonly string[]
}

type SealerFor = (parameters: SealingParameters) => Sealer

function loadFile(path: string, settings: Settings, sealerFor: SealerFor): LoadedKeys {
  const warnings = isOpenToOthers(path) ? [`the key file ${path} is readable by other users; chmod 600 corrects that`] : []
  const content = readKeyFile(path)
  const origin = { source: path, from: `the key file ${path}`, warnings }
  const loaded = isKeyFile(content)
    ? openRing(content, settings, { path, sealerFor, origin })
    : imported(content, settings, origin)
  return { ...loaded, path, isPlainSecret: isPlainSecret(content) }
}

function isPlainSecret(content: KeyInput): boolean {
  return Buffer.isBuffer(content) || (typeof content === 'string' && !isPem(content))
}

/** Rejects a key file in a variable that holds the key itself. */
function loadText(text: string, settings: Settings): LoadedKeys {
  const source = 'VESTAL_KEY'
  const content = contentOf(Buffer.from(text), source)
  if (isKeyFile(content)) throw new SettingsError([`${source}: is a key file, which changes; set VESTAL_KEY_FILE to its path`])
  return imported(content, settings, { source, from: `the key of ${source}` })
}

interface RingSource {
  readonly path: string
  readonly sealerFor: SealerFor
  readonly origin: Origin
}

function openRing(content: unknown, { algorithm }: Settings, { path, sealerFor, origin }: RingSource): LoadedKeys {
  return explained(path, () => {
    const file = parseKeyFile(content)
    const { sealing } = file
    const open = (kid: string, sealed: Sealed): Jwk => {
      if (sealing === undefined) throw new KeyError('the member "sealing" is missing')
      return sealerFor(sealing).open(kid, sealed)
    }
    const { keys, signing, dropTimes } = openKeys(file, Math.floor(Date.now() / 1000), open)
    if (signing === undefined) throw new KeyError('no key is active; `vestal keys generate` makes one')
    const other = keys.find((key) => algorithm !== undefined && key.algorithm !== algorithm)
    if (other !== undefined) throw new KeyError(`the key ${other.kid} is for ${other.algorithm}, not for ${algorithm}`)
    const { from, warnings = [] } = origin
    const description = `${from}, ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}, signing with ${signing.algorithm}`
    return { keys: importKeys(keys), signing, published: publicKeySet(keys), description, warnings, dropTimes }
  })
}

function imported(input: KeyInput, { algorithm, interop }: Settings, { source, from, warnings = [] }: Origin): LoadedKeys {
  return explained(source, () => {
    // One algorithm a key (RFC 8725 §3.1): the setting's, the JWK's, or the usual one of its kind. Flama's secrets name none.
    const isOneAlgorithm = interop === undefined
    const keys = importKeys(input, { isOneAlgorithm, ...(isAlgorithm(algorithm) && { algorithm }), ...(interop && { interop }) })
    const signing = keys.find(({ canSign }) => canSign)
    const published = publicKeySet(keys.filter(({ canSign }) => canSign))
    return { keys, published, description: from, warnings, ...(signing && { signing }) }
  })
}

/** Names the source of a key in its error. */
function explained<T>(source: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof KeyError) throw new SettingsError([`${source}: ${error.message}`])
    throw error
  }
}

/** Deriving a key from a passphrase takes a third of a second, so each salt's key is cached. */
function rememberSealer(path: string, passphrase: string | undefined): SealerFor {
  let known: Sealer | undefined
  let given = passphrase
  return (parameters) => {
    if (known?.parameters.salt === parameters.salt && known.parameters.cost === parameters.cost) return known
    given ??= promptSecret(`Passphrase of ${path}`)
    if (given === undefined || given === '') throw new KeyError('its keys are sealed; set VESTAL_KEY_PASSPHRASE')
    known = createSealer(parameters, given)
    return known
  }
}

/** What a file holds: the text of a PEM, a JSON value, or the bytes of a shared secret. */
export function readKeyFile(path: string): KeyInput {
  return contentOf(readSmallFile(path), path)
}

function contentOf(bytes: Buffer, source: string): KeyInput {
  const text = bytes.toString('utf8').trim()
  if (isPem(text)) return text
  if (!text.startsWith('{')) return Buffer.from(text, 'utf8').equals(bytes) ? text : trimmed(bytes)
  try {
    return JSON.parse(text) as Jwk | JwkSet
  } catch {
    throw new SettingsError([`${source}: begins as JSON and is not valid JSON`])
  }
}

/** The bytes of a secret without the line break that an editor adds. */
function trimmed(bytes: Buffer): Buffer {
  return bytes.at(-1) === 10 ? bytes.subarray(0, -1) : bytes
}
