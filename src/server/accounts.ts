import { type ApiKeyDirectory, createApiKeyDirectory } from '../accounts/api-key-directory.ts'
import { boundAudit } from '../accounts/bounded-audit.ts'
import { addFirstAdministrator, FIRST_ADMINISTRATOR } from '../accounts/first-administrator.ts'
import { createPasswords, passwordFault } from '../accounts/passwords.ts'
import { createRevocationList } from '../accounts/revocation-list.ts'
import { createRevocationSync } from '../accounts/revocation-sync.ts'
import { addFirstRoles } from '../accounts/roles.ts'
import type { AccountsContext } from '../accounts/service.ts'
import { ADDRESS_DAYS } from '../accounts/sign-in.ts'
import { createThrottle } from '../accounts/throttle.ts'
import type { AuthenticationOptions } from '../auth/authenticator.ts'
import { SettingsError } from '../config/load.ts'
import type { Mode } from '../config/mode.ts'
import type { Settings } from '../config/settings.ts'
import { reasonOfFile } from '../core/file-reason.ts'
import { invariant } from '../core/invariant.ts'
import type { AccountsOptions } from '../http/accounts/context.ts'
import { sessionCookies } from '../http/accounts/cookies.ts'
import { createOriginReader } from '../http/accounts/origin.ts'
import { createAuditLog } from '../storage/audit-log.ts'
import { createAuditReader } from '../storage/audit-reader.ts'
import { type OpenStore, openStore } from '../storage/open-store.ts'
import { openRedis } from '../storage/redis.ts'
import { databaseAddress } from './database-address.ts'
import type { LiveKeys } from './live-keys.ts'
import { withoutFolders } from './reload.ts'
import { sign } from './sign-token.ts'

const DAY_MS = 86_400_000
/** Days that the audit log is kept in the database. */
const AUDIT_DAYS = 400

/** Accounts as `vestal start` and the verbs about accounts use them. */
export interface OpenAccounts {
  readonly context: AccountsContext
  readonly apiKeys: ApiKeyDirectory
  /** Writes how many rejections were not logged one by one. */
  readonly flushAudit: () => void
  /** Events of the audit log that could not be written. */
  readonly auditLost: () => number
  /** Writes what is left of the audit log, and closes the database. */
  readonly close: () => Promise<void>
}

/** Opens the database of the settings. @throws SettingsError where it cannot be opened */
export function openDatabase(settings: Settings): OpenStore {
  try {
    return openStore(databaseAddress(settings))
  } catch (error) {
    throw unusable(error)
  }
}

/** Opens accounts, with the schema of this version. @throws SettingsError where the database cannot be used */
export async function openAccounts(settings: Settings, sign: AccountsContext['sign']): Promise<OpenAccounts> {
  const store = openDatabase(settings)
  try {
    await store.migrate()
    await addFirstRoles(store, Date.now())
  } catch (error) {
    await store.close()
    throw unusable(error)
  }
  const apiKeys = createApiKeyDirectory({ store, now: Date.now })
  const redis = settings.redis === undefined ? undefined : openRedis(settings.redis)
  const warn = (message: string) => console.error(`warning: ${message}`)
  const log = createAuditLog({ to: settings.auditTo, folder: settings.data, store, now: Date.now, warn })
  const audit = boundAudit(log.write, Date.now)
  const context: AccountsContext = {
    store,
    sign,
    apiKeysChanged: apiKeys.load,
    passwords: createPasswords({ memoryKiB: settings.passwordMemoryKib }),
    throttle: createThrottle({
      ...(redis && { redis: redis.commands }),
      accountMax: settings.signInAttemptsMax,
      addressMax: settings.signInAddressAttemptsMax,
      windowSeconds: settings.signInWindowSeconds,
    }),
    revocations: createRevocationList({ leewaySeconds: settings.leewaySeconds }),
    audit: audit.write,
    now: Date.now,
    lifetimes: {
      sessionSeconds: settings.sessionSeconds,
      idleSeconds: settings.sessionIdleSeconds,
      graceSeconds: settings.refreshGraceSeconds,
      accessTokenSeconds: settings.accessTokenSeconds,
      tokenSecondsMax: settings.tokenSecondsMax,
    },
  }
  const close = async () => {
    audit.flush()
    await log.flush()
    redis?.close()
    await store.close()
  }
  return { context, apiKeys, flushAudit: audit.flush, auditLost: log.lost, close }
}

/** The message of a database is safe to show: it names what failed, and holds no address of ours. */
function unusable(error: unknown): SettingsError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const isOfFile = cause instanceof Error && 'syscall' in cause && 'path' in cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SettingsError([
    `the accounts cannot be opened: ${isOfFile ? `${cause.path}: ${reasonOfFile(cause)}` : message}`,
    'Set VESTAL_DATABASE to a database, or VESTAL_DATA to a folder that the server may write to; VESTAL_ACCOUNTS=off serves without accounts.',
  ])
}

/** The accounts of a running server. */
export interface ServedAccounts {
  readonly options: AccountsOptions
  /** What the authenticator needs of accounts. */
  readonly authentication: Pick<AuthenticationOptions, 'cookieKey' | 'isRevoked'>
  readonly auditLost: () => number
  /** Creates the first administrator where one is wanted and none exists; `write` shows its password. */
  readonly addFirstAdministrator: (write: (text: string) => void) => Promise<void>
  /** Applies changed limits of sign-ins and changed proxies. */
  readonly change: (next: Settings) => void
  stop(): Promise<void>
}

/** Accounts, where a setting does not turn them off and there is a key to sign their tokens with. */
export async function accountsOf(
  settings: Settings,
  { keys, ...rest }: { readonly mode: Mode; readonly keys: LiveKeys; readonly warn: (message: string) => void },
): Promise<ServedAccounts | undefined> {
  const signing = () => keys.current().signing
  if (settings.accounts === 'off' || signing() === undefined) return undefined
  const signClaims: AccountsContext['sign'] = (claims, lifetimeSeconds) => {
    const key = signing()
    invariant(key !== undefined, 'keys that change while the server runs can sign as before')
    return sign(claims, key, { settings, lifetimeSeconds })
  }
  const served = await serveAccounts(settings, { ...rest, sign: signClaims })
  const { audit } = served.options.context
  keys.whenChanged((changes) => audit({ event: 'keys-changed', actor: 'server', reason: changes.join(', ') }))
  keys.whenRejected((reason) => audit({ event: 'keys-refused', actor: 'server', reason: withoutFolders(reason).slice(0, 300) }))
  return served
}

/** Opens the accounts, and keeps them up to date with changes of other processes. */
async function serveAccounts(
  settings: Settings,
  { mode, sign, warn }: { readonly mode: Mode; readonly sign: AccountsContext['sign']; readonly warn: (message: string) => void },
): Promise<ServedAccounts> {
  const { context, apiKeys, flushAudit, auditLost, close } = await openAccounts(settings, sign)
  const { revocations, now, store } = context
  const tidyUp = async () => {
    flushAudit()
    await apiKeys.flush()
    const { idleSeconds } = context.lifetimes
    await store.transaction(async (records) => {
      await records.pruneSessions(now(), now() - idleSeconds * 1000)
      await records.pruneAddresses(now() - ADDRESS_DAYS * DAY_MS)
      await records.pruneAudit(now() - AUDIT_DAYS * DAY_MS)
    })
  }
  const sync = createRevocationSync({ store, revocations, now, warn, onApiKeys: apiKeys.load, onIdle: tidyUp })
  try {
    await apiKeys.load()
    await sync.poll()
    if (mode === 'production') await rejectWeakPassword(context, settings)
  } catch (error) {
    await close()
    throw error
  }
  sync.start()
  let originOf = createOriginReader(settings.trustedProxies)
  const names = { access: settings.cookieKey, refresh: settings.refreshCookieKey }
  const cookies = sessionCookies({ ...names, isSecure: mode === 'production' || settings.tlsCert !== undefined })
  return {
    options: {
      context,
      cookies,
      apiKeys,
      readAudit: createAuditReader({ to: settings.auditTo, folder: settings.data, store }),
      isFresh: () => sync.isFresh,
      whenStale: settings.whenRevocationsUnknown,
      originOf: (request, peer) => originOf(request, peer),
    },
    authentication: { cookieKey: cookies.access, isRevoked: (token) => revocations.isRevoked(token) },
    auditLost,
    async addFirstAdministrator(write) {
      if (mode === 'production') await firstAdministrator(context, settings, write)
    },
    change(next) {
      originOf = createOriginReader(next.trustedProxies)
      context.throttle.limit({ accountMax: next.signInAttemptsMax, addressMax: next.signInAddressAttemptsMax })
    },
    async stop() {
      await sync.stop()
      await apiKeys
        .flush()
        .catch((error: unknown) => warn(`the times at which API keys were last used were not saved: ${String(error)}`))
      await close()
    },
  }
}

/** Before anything listens: a password that the first start would reject. @throws SettingsError */
async function rejectWeakPassword({ store }: AccountsContext, { adminPassword }: Settings): Promise<void> {
  const fault = adminPassword === undefined ? undefined : passwordFault(adminPassword, FIRST_ADMINISTRATOR)
  if (fault === undefined || (await store.read((records) => records.hasAccounts()))) return
  throw new SettingsError([`VESTAL_ADMIN_PASSWORD: ${fault}`])
}

async function firstAdministrator(
  context: AccountsContext,
  { adminPassword: password }: Settings,
  write: (text: string) => void,
): Promise<void> {
  const isMade = await addFirstAdministrator(context, {
    password,
    show: (oncePassword) =>
      write(`Accounts: "admin" was made. Its password signs in once, and is not shown again; set another with POST /auth/password/:
  ${oncePassword}
`),
  })
  if (isMade && password !== undefined) write('Accounts: "admin" was made, with the password of VESTAL_ADMIN_PASSWORD\n')
}
