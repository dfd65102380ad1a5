import { databasePlace, integer, listOf, name, oneOf, proxy, redisAddress, secret } from '../readers.ts'
import { list, single } from './row.ts'

/** Accounts: where they are kept, how long a session lasts, how often a password may be tried. */
export const ACCOUNTS = {
  accounts: single<'on' | 'off'>(oneOf('on', 'off'), {
    default: 'on',
    value: 'on|off',
    help: 'Whether this server has accounts of its own. Off: tokens come from elsewhere, and nothing is kept.',
  }),
  database: single<string | undefined>(databasePlace(), {
    default: undefined,
    shownDefault: 'vestal.db in the data folder',
    value: 'FILE or postgres://…',
    isSecret: true,
    help: 'Where accounts are kept: a file of SQLite, or the address of a Postgres database.',
  }),
  redis: single<string | undefined>(redisAddress(), {
    default: undefined,
    value: 'redis://…',
    isSecret: true,
    help: 'Redis that counts attempts to sign in, and rate limits, for all processes; without it each process counts its own.',
  }),
  adminPassword: single<string | undefined>(secret(8), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Password of the account `admin` that the first start in production mode makes; without it one is made up, printed, and signs in once.',
  }),
  sessionSeconds: single(integer(60, 31_536_000), {
    default: 2_592_000,
    value: 'SECONDS',
    help: 'How long a session lasts, however much it is used.',
  }),
  sessionIdleSeconds: single(integer(60, 31_536_000), {
    default: 1_209_600,
    value: 'SECONDS',
    help: 'After how long without a refresh a session ends.',
  }),
  refreshGraceSeconds: single(integer(0, 60), {
    default: 10,
    value: 'SECONDS',
    help: 'How long the parent of a refresh token gives the same successor again. After it, or with an older one, the session ends.',
  }),
  refreshCookieKey: single(name(), {
    default: 'refresh_token',
    value: 'NAME',
    help: 'Cookie that carries the refresh token; it and the cookie of the token begin with `__Host-` in production mode.',
  }),
  signInAttemptsMax: single(integer(1, 10_000), {
    default: 10,
    value: 'N',
    help: 'Passwords that may be tried for one account at once; they come back one by one within the window, and without one the answer is 429.',
  }),
  signInAddressAttemptsMax: single(integer(1, 1_000_000), {
    default: 100,
    value: 'N',
    help: 'The same from one address (IPv6: one /64).',
  }),
  signInWindowSeconds: single(integer(1, 86_400), {
    default: 900,
    value: 'SECONDS',
    help: 'Seconds in which all attempts of both are back.',
  }),
  passwordMemoryKib: single(integer(7168, 1_048_576), {
    default: 19_456,
    value: 'KIB',
    help: 'Memory of argon2id for one password, in two passes. Older hashes are made anew at the next sign-in where it rises.',
  }),
  whenRevocationsUnknown: single<'closed' | 'administration' | 'open'>(oneOf('closed', 'administration', 'open'), {
    default: 'administration',
    value: 'WORD',
    help: 'What is refused with 503 while the database does not say what other processes revoked: everything (closed), what changes something or shows who may (administration), nothing (open).',
  }),
  auditTo: single<'file' | 'database' | 'both'>(oneOf('file', 'database', 'both'), {
    default: 'file',
    value: 'WORD',
    help: 'Where the audit log is kept: audit.log in the data folder, the database of the accounts, or both.',
  }),
  trustedProxies: list(listOf(proxy(), 32), {
    default: [] as readonly string[],
    shownDefault: 'none',
    value: 'ADDRESS',
    help: 'Proxies, each an address or a block such as 10.0.0.0/8, or `unix` for the unix socket, whose `X-Forwarded-For` names the client; may be given several times.',
  }),
}
