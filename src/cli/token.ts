import { existsSync } from 'node:fs'
import type { Arguments, FlagRow } from '../config/arguments.ts'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import { SETTINGS, type Settings } from '../config/settings.ts'
import { decodeJwt } from '../jose/decode.ts'
import type { Key } from '../jose/keys.ts'
import { developmentSecretPath } from '../server/development-secret.ts'
import { loadKeys, usesDevelopmentSecret } from '../server/load-keys.ts'
import { askLocal, localAddress } from '../server/local-server.ts'
import { sign } from '../server/sign-token.ts'

export const TOKEN_FLAGS: readonly FlagRow[] = [
  { name: 'subject', value: 'TEXT', help: 'Who the token is for (`sub`). Needed.' },
  { name: 'permission', value: 'NAME', help: 'A permission to grant, such as model:*:predict; may be given several times.' },
  { name: 'role', value: 'NAME=PERMISSION,…', help: 'A role and its permissions; may be given several times.' },
  {
    name: 'ttl',
    value: 'SECONDS',
    help: 'Lifetime of the token, 1 to 86400. Default: an hour in development mode, --access-token-seconds in production or where it is set.',
  },
]

const TTL_SECONDS_MAX = 86_400
/** Long enough to try things out by hand. */
const DEVELOPMENT_SECONDS = 3600

/** What a server is given to see whose key it knows: a token that grants nothing, and does not live long. */
const PROBE = { sub: 'command-line', data: { permissions: [] } }
const PROBE_SECONDS = 10
const PROBE_MS = 1000

/** `vestal token`: prints only the token on standard output, and the name of its key on standard error. */
export async function token(settings: Settings, mode: Mode, { values }: Arguments): Promise<void> {
  const { claims, lifetimeSeconds } = readClaims(settings, mode, values)
  const isNew = usesDevelopmentSecret(settings, mode) && !existsSync(developmentSecretPath(settings.data))
  const { keys, signing, warnings, description } = loadKeys(settings, mode)
  for (const warning of warnings) console.error(`warning: ${warning}`)
  if (keys.length === 0) throw new SettingsError(['the tokens are other issuers’: there is no key here to sign one'])
  if (signing === undefined) throw new SettingsError(['the keys are public: they verify tokens and cannot sign them'])
  console.error(`signed with ${description}${isNew ? ', made now: servers that run already do not know it' : ''}`)
  const fault = await faultOfServer(settings, signing)
  if (fault !== undefined) console.error(`warning: ${fault}`)
  const text = sign(claims, signing, { settings, lifetimeSeconds })
  console.error(`valid until ${shownTime(Number(decodeJwt(text).payload.exp) * 1000)}`)
  console.log(text)
}

/** Why the server that runs at the address of the settings would reject such a token; undefined where none does, or it would not. */
async function faultOfServer(settings: Settings, signing: Key): Promise<string | undefined> {
  // A token of this command never has a required claim.
  if (settings.port === 0 || settings.requiredClaim.length > 0) return undefined
  const probe = sign(PROBE, signing, { settings, lifetimeSeconds: PROBE_SECONDS })
  const headers = { [settings.headerKey]: `${settings.headerPrefix} ${probe}` }
  const answer = await askLocal(settings, '/private/info/', { headers, timeoutMs: PROBE_MS }).catch(() => undefined)
  const challenge = answer?.headers.get('www-authenticate') ?? ''
  // What is no Vestal has no say in it: 403 is what one answers to a token that it accepts.
  if (answer?.status !== 401 || !challenge.toLowerCase().startsWith(settings.headerPrefix.toLowerCase())) return undefined
  const place = settings.unix ?? localAddress(settings)
  const [, why] = /error_description="([^"]*)"/.exec(challenge) ?? []
  if (why !== undefined) return `the server at ${place} knows this key and rejects such a token: ${why}`
  return `the server at ${place} rejects tokens of this key: it has another. Name its own with VESTAL_SECRET, VESTAL_KEY or --key-file, or its data folder with --data`
}

/** A time on the clock of this machine, and in UTC as the server's errors have it. */
function shownTime(ms: number): string {
  const date = new Date(ms)
  const two = (part: number) => String(part).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day} ${time} local time (${date.toISOString().replace(/\.\d+/, '')})`
}

/** What a token without `--ttl` lives. */
function usualSeconds({ accessTokenSeconds, tokenSecondsMax }: Settings, mode: Mode): number {
  const isUsual = mode === 'development' && accessTokenSeconds === SETTINGS.accessTokenSeconds.default
  return isUsual ? Math.min(DEVELOPMENT_SECONDS, tokenSecondsMax ?? DEVELOPMENT_SECONDS) : accessTokenSeconds
}

function readClaims(settings: Settings, mode: Mode, values: Arguments['values']) {
  const faults: string[] = []
  const [subject, second] = values.get('subject') ?? []
  if (subject === undefined || subject === '' || second !== undefined) faults.push('--subject: must be given, once')
  const permissions = values.get('permission') ?? []
  if (permissions.includes('')) faults.push('--permission: must not be empty')
  const roles = (values.get('role') ?? []).flatMap((text) => {
    const [, name, list] = /^([^=]+)=(.+)$/.exec(text) ?? []
    if (name !== undefined && list !== undefined) return [[name, list.split(',').map((permission) => permission.trim())] as const]
    faults.push(`--role: must be name=permission,permission, got ${JSON.stringify(text.slice(0, 60))}`)
    return []
  })
  const ttl = values.get('ttl')?.at(-1)
  const lifetimeSeconds = ttl === undefined ? usualSeconds(settings, mode) : Number(ttl)
  const secondsMax = Math.min(TTL_SECONDS_MAX, settings.tokenSecondsMax ?? TTL_SECONDS_MAX)
  if (!Number.isInteger(lifetimeSeconds) || lifetimeSeconds < 1 || lifetimeSeconds > secondsMax) {
    faults.push(`--ttl: must be a whole number of seconds from 1 to ${secondsMax}, got ${JSON.stringify(ttl ?? lifetimeSeconds)}`)
  }
  if (faults.length > 0) throw new SettingsError(faults)
  const data = { permissions, ...(roles.length > 0 && { roles: Object.fromEntries(roles) }) }
  return { claims: { sub: subject ?? '', data }, lifetimeSeconds }
}
