import { databasePlace, integer, listOf, name, oneOf, proxy, redisAddress, seconds, secret } from '../readers.ts'
import { list, optional, single } from './row.ts'

/** Accounts: where they are kept, how long a session lasts, how often a password may be tried. */
export const ACCOUNTS = {
  accounts: single(oneOf('on', 'off'), 'on', {
    help: 'Accounts of this server. off: tokens come from elsewhere, and the server stores none.',
  }),
  database: optional(databasePlace(), {
    shownDefault: 'vestal.db in the data folder',
    isSecret: true,
    help: 'Database of the accounts: an SQLite file, or the address of a Postgres database.',
  }),
  redis: optional(redisAddress(), {
    isSecret: true,
    help: 'Redis that counts sign-in attempts and rate limits for all processes; without it each process counts its own.',
  }),
  adminPassword: optional(secret(8), {
    isSecret: true,
    help: 'Password of the account `admin` that the first start in production mode creates; without it the server prints a random one for one sign-in.',
  }),
  sessionSeconds: single(seconds(60, 31_536_000), 2_592_000, {
    help: 'Seconds that a session lasts, however often it is refreshed.',
  }),
  sessionIdleSeconds: single(seconds(60, 31_536_000), 1_209_600, {
    help: 'Seconds without a refresh after which a session ends.',
  }),
  refreshGraceSeconds: single(seconds(0, 60), 10, {
    help: 'Seconds in which the previous refresh token returns the same successor again. A later use, or an older token, ends the session.',
  }),
  refreshCookieKey: single(name(), 'refresh_token', {
    help: 'Cookie that carries the refresh token; its name and that of `cookie_key` begin with `__Host-` in production mode.',
  }),
  signInAttemptsMax: single(integer(1, 10_000), 10, {
    help: 'Sign-in attempts for one account; they return one by one within the window, and without one left the response is 429.',
    isReloadable: true,
  }),
  signInAddressAttemptsMax: single(integer(1, 1_000_000), 100, {
    help: 'Sign-in attempts from one address (IPv6: one /64).',
    isReloadable: true,
  }),
  signInWindowSeconds: single(seconds(1, 86_400), 900, {
    help: 'Seconds until all sign-in attempts have returned.',
  }),
  passwordMemoryKib: single(integer(7168, 1_048_576), 19_456, {
    value: 'KIB',
    help: 'Memory of argon2id for one password, in two passes. Weaker hashes are replaced at the next sign-in.',
  }),
  whenRevocationsUnknown: single(oneOf('closed', 'administration', 'open'), 'administration', {
    value: 'WORD',
    help: 'Requests rejected with 503 while the database cannot report what other processes revoked: all (closed), those that change something or show who may do what (administration), none (open).',
  }),
  auditTo: single(oneOf('file', 'database', 'both'), 'file', {
    value: 'WORD',
    help: 'Place of the audit log: audit.log in the data folder, the database of the accounts, or both.',
  }),
  trustedProxies: list(listOf(proxy(), 32), [], {
    value: 'ADDRESS',
    help: 'Proxies whose `X-Forwarded-For` names the client: addresses, blocks such as 10.0.0.0/8, or `unix` for the unix socket. Repeatable.',
    isReloadable: true,
  }),
}
