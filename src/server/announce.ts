import { writeSync } from 'node:fs'
import type { TrustedIssuer } from '../auth/issuers.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { VERSION } from '../core/version.ts'
import type { Engine, Model } from '../inference/engine.ts'
import { isOff } from '../inference/repository/describe.ts'
import { type SignatureBackend, type SignatureBackendOption, signatureBackends } from '../jose/signature-backends.ts'
import type { ServedAccounts } from './accounts.ts'
import type { LiveKeys } from './live-keys.ts'
import type { Logging } from './logging.ts'
import { tryLines } from './try-lines.ts'

const [STDOUT, STDERR] = [1, 2]

export interface Announced {
  readonly mode: Mode
  readonly keys: LiveKeys
  readonly issuers: readonly TrustedIssuer[]
  readonly engine: Engine
  readonly accounts?: ServedAccounts
  readonly settings: Settings
  /** The file of settings, where it was named. */
  readonly configFile?: string
}

/** Reports where the server listens and what it serves: in lines of the log, or for people. */
export function announce(base: string, announced: Announced, { logger, isPretty }: Logging): void {
  const { mode, keys, issuers, engine, settings } = announced
  const backends = describeBackends(settings.signatureBackend)
  const served = engine.models().filter(isServed)
  const broken = brokenVersions(engine)
  for (const { name, version, reason } of broken) {
    logger.warn(`the model ${name}, version ${version}, cannot be served: ${reason}`, { model: name, version, reason })
  }
  if (!isPretty) {
    const wanted = engine.models().filter(({ versions }) => !versions.every(isOff)).length
    const others = wanted === served.length ? '' : `; ${wanted - served.length} of ${wanted} cannot be served`
    logger.info(`Vestal ${VERSION} listens on ${base}, with ${served.length} models${others}`, {
      mode,
      url: base,
      count: served.length,
    })
    logger.info(`signatures are checked by ${backends}`)
    if (mode === 'development') logger.warn('development mode: anybody on this machine gets a token')
    return
  }
  // A unix socket is no address that a browser takes, and no address at all stands for every one of this machine.
  const documentation = base.startsWith('unix:') ? '' : `, documentation at ${reachable(base)}/docs/`
  const models = engine.models().map(describeModel)
  console.log(`Vestal ${VERSION} listens on ${base}${documentation}
Mode:   ${mode}
Tokens: ${[keys.current().description, ...issuers.map(({ name }) => `the issuer ${name}`)].join(', ')}
Checks: ${backends}
Models: ${models.length === 0 ? 'none' : models.join(', ')}`)
  if (mode === 'development' && keys.current().signing !== undefined) explainDevelopment(base, announced)
}

const BACKENDS: Readonly<Record<SignatureBackend, string>> = {
  native: 'native (Rust, @node-rs/jsonwebtoken)',
  boring: 'boring (BoringSSL in Bun)',
  wasm: 'wasm (RustCrypto in WebAssembly)',
}

/** The backends that check signatures, by algorithm where they differ; the most common one is "the rest". */
function describeBackends(option: SignatureBackendOption): string {
  const { algorithms } = signatureBackends(option)
  const groups = Map.groupBy(Object.entries(algorithms), ([, backend]) => backend)
  if (groups.size === 1) return [...groups.keys()].map((backend) => BACKENDS[backend]).join('')
  const [rest, ...others] = [...groups].sort(([, left], [, right]) => right.length - left.length)
  const named = others.map(([backend, rows]) => `${rows.map(([name]) => name).join(', ')}: ${BACKENDS[backend]}`)
  return [...named, ...(rest === undefined ? [] : [`the rest: ${BACKENDS[rest[0]]}`])].join('; ')
}

/** Makes the first administrator, now that the start has succeeded, and shows its password: on the terminal, or beside the log. */
export async function announceAdministrator({ accounts }: Announced, { logger, isPretty }: Logging): Promise<void> {
  try {
    // A password that signs in once has no place in the log. It is written at once: the account counts when this is done.
    await accounts?.addFirstAdministrator((text) => void writeSync(isPretty ? STDOUT : STDERR, text))
  } catch (error) {
    logger.error('the account "admin" was not made, and a password shown for it does not count; the next start tries again', {
      error,
    })
  }
}

function isServed({ versions }: Model): boolean {
  return versions.some(({ state }) => state === 'ready')
}

/** Versions that do not answer and were not unloaded on purpose. */
function brokenVersions(engine: Engine) {
  return engine.models().flatMap(({ name, versions }) =>
    versions
      .filter((version) => version.state !== 'ready' && !isOff(version))
      .map(({ version, state, reason }) => ({
        name,
        version,
        reason: reason ?? (state === 'loading' ? 'it is still loading' : `it is ${state}`),
      })),
  )
}

function describeModel({ name, versions }: Model): string {
  const ready = versions.filter(({ state }) => state === 'ready').map(({ version }) => version)
  return ready.length > 0 ? `${name} (version ${ready.join(', ')})` : `${name} (unavailable: ${versions[0]?.reason ?? ''})`
}

function reachable(base: string): string {
  return base.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
}

function explainDevelopment(base: string, { settings, engine, configFile }: Announced): void {
  console.error(`
  WARNING: development mode. POST ${base}/auth/ gives anybody on this machine a token, and no password is checked,
  until the first account is made with \`bun run users add\`.
  For a real service set NODE_ENV=production and VESTAL_SECRET.
`)
  const lines = tryLines({ base, settings, engine, ...(configFile !== undefined && { configFile }) })
  const hint = lines.length === 0 ? ' a client certificate is needed; docs/guides/network.md has more' : ''
  console.log(`Try:${hint}${lines.map((line) => `\n  ${line}`).join('')}`)
}
