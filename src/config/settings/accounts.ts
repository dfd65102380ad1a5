import { databasePlace, integer, listOf, name, oneOf, proxy, redisAddress, secret } from '../readers.ts'
import { list, single } from './row.ts'

/** Accounts: where they are kept, how long a session lasts, how often a password may be tried. */
export const ACCOUNTS = {
  accounts: single<'on' | 'off'>(oneOf('on', 'off'), {
    default: 'on',
    value: 'on|off',
    help: 'Accounts of this server. off: tokens come from elsewhere, and the server stores none.',
  }),
  database: single<string | undefined>(databasePlace(), {
    default: undefined,
    shownDefault: 'vestal.db in the data folder',
    value: 'FILE or postgres://…',
    isSecret: true,
    help: 'Database of the accounts: an SQLite file, or the address of a Postgres database.',
  }),
  redis: single<string | undefined>(redisAddress(), {
    default: undefined,
    value: 'redis://…',
    isSecret: true,
    help: 'Redis that counts sign-in attempts and rate limits for all processes; without it each process counts its own.',
  }),
  adminPassword: single<string | undefined>(secret(8), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Password of the account `admin` that the first start in production mode creates; without it the server prints a random one for one sign-in.',
  }),
  sessionSeconds: single(integer(60, 31_536_000), {
    default: 2_592_000,
    value: 'SECONDS',
    help: 'Seconds that a session lasts, however often it is refreshed.',
  }),
  sessionIdleSeconds: single(integer(60, 31_536_000), {
    default: 1_209_600,
    value: 'SECONDS',
    help: 'Seconds without a refresh after which a session ends.',
  }),
  refreshGraceSeconds: single(integer(0, 60), {
    default: 10,
    value: 'SECONDS',
    help: 'Seconds in which the previous refresh token returns the same successor again. A later use, or an older token, ends the session.',
  }),
  refreshCookieKey: single(name(), {
    default: 'refresh_token',
    value: 'NAME',
    help: 'Cookie that carries the refresh token; its name and that of `cookie_key` begin with `__Host-` in production mode.',
  }),
  signInAttemptsMax: single(integer(1, 10_000), {
    default: 10,
    value: 'N',
    help: 'Sign-in attempts for one account; they return one by one within the window, and without one left the response is 429.',
    isReloadable: true,
  }),
  signInAddressAttemptsMax: single(integer(1, 1_000_000), {
    default: 100,
    value: 'N',
    help: 'Sign-in attempts from one address (IPv6: one /64).',
    isReloadable: true,
  }),
  signInWindowSeconds: single(integer(1, 86_400), {
    default: 900,
    value: 'SECONDS',
    help: 'Seconds until all sign-in attempts have returned.',
  }),
  passwordMemoryKib: single(integer(7168, 1_048_576), {
    default: 19_456,
    value: 'KIB',
    help: 'Memory of argon2id for one password, in two passes. Weaker hashes are replaced at the next sign-in.',
  }),
  whenRevocationsUnknown: single<'closed' | 'administration' | 'open'>(oneOf('closed', 'administration', 'open'), {
    default: 'administration',
    value: 'WORD',
    help: 'Requests rejected with 503 while the database cannot report what other processes revoked: all (closed), those that change something or show who may do what (administration), none (open).',
  }),
  auditTo: single<'file' | 'database' | 'both'>(oneOf('file', 'database', 'both'), {
    default: 'file',
    value: 'WORD',
    help: 'Place of the audit log: audit.log in the data folder, the database of the accounts, or both.',
  }),
  trustedProxies: list(listOf(proxy(), 32), {
    default: [] as readonly string[],
    shownDefault: 'none',
    value: 'ADDRESS',
    help: 'Proxies whose `X-Forwarded-For` names the client: addresses, blocks such as 10.0.0.0/8, or `unix` for the unix socket. Repeatable.',
    isReloadable: true,
  }),
}
