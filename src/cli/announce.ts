import type { TrustedIssuer } from '../auth/trusted-issuer.ts'
import type { Mode } from '../config/mode.ts'
import { VERSION } from '../core/version.ts'
import type { Engine } from '../engine/engine.ts'
import type { ServedAccounts } from './accounts.ts'
import type { LiveKeys } from './live-keys.ts'
import type { Logging } from './logging.ts'

export interface Announced {
  readonly mode: Mode
  readonly keys: LiveKeys
  readonly issuers: readonly TrustedIssuer[]
  readonly engine: Engine
  readonly accounts?: ServedAccounts
  /** Which engine checks signatures. */
  readonly engines: string
}

/** Says where the server listens and what it serves: in a line of the log, or for people. */
export function announce(base: string, announced: Announced, { logger, isPretty }: Logging): void {
  const { mode, keys, issuers, engine, accounts, engines } = announced
  const models = engine.models().map(({ name, versions }) => {
    const ready = versions.filter(({ state }) => state === 'ready').map(({ version }) => version)
    return ready.length > 0 ? `${name} (version ${ready.join(', ')})` : `${name} (unavailable: ${versions[0]?.reason ?? ''})`
  })
  if (!isPretty) {
    logger.info(`Vestal ${VERSION} listens on ${base}, with ${models.length} models`, { mode, url: base })
    logger.info(`signatures are checked by ${engines}`)
    if (mode === 'development') logger.warn('development mode: anybody on this machine gets a token')
    // A password that signs in once has no place in the log, and would be lost without one.
    if (accounts !== undefined && accounts.announcement !== '') console.error(accounts.announcement.trim())
    return
  }
  // A unix socket is no address that a browser takes.
  const documentation = base.startsWith('unix:') ? '' : `, documentation at ${base}/docs/`
  console.log(`Vestal ${VERSION} listens on ${base}${documentation}
Mode:   ${mode}
Tokens: ${[keys.current().description, ...issuers.map(({ name }) => `the issuer ${name}`)].join(', ')}
Checks: ${engines}
Models: ${models.length === 0 ? 'none' : models.join(', ')}${accounts?.announcement ?? ''}`)
  if (mode === 'development' && keys.current().signing !== undefined) explainDevelopment(base)
}

function explainDevelopment(base: string): void {
  console.error(`
  WARNING: development mode. POST ${base}/auth/ gives anybody on this machine a token, and no password is checked,
  until the first account is made with \`bun run users add\`.
  For a real service set NODE_ENV=production and VESTAL_SECRET.
`)
  console.log(`Try:
  curl ${base}/public/info/
  TOKEN=$(bun run --silent token --subject me --permission 'model:*:predict')
  curl ${base}/models/iris/predict/ -H "Authorization: Bearer $TOKEN" -d '{"input": [[5.1, 3.5, 1.4, 0.2]]}'`)
}
