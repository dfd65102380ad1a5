import { DrizzleQueryError } from 'drizzle-orm/errors'
import { VestalError } from '../core/errors.ts'
import { Late } from './in-time.ts'

/**
 * Codes of a database that does not answer, or not now: connections, a server that stops or starts, locks that were waited for too
 * long, a disk that is full or broken.
 */
const UNAVAILABLE = [
  /^ERR_POSTGRES_(?:CONNECTION|IDLE|LIFETIME)/,
  /^E(?:CONN|PIPE|TIMEDOUT|HOSTUNREACH|NOTFOUND)/,
  /^(?:08|53|57|40)[0-9A-Z]{3}$/,
  /^(?:FailedToOpenSocket|ConnectionRefused|ConnectionClosed)$/,
  /^SQLITE_(?:BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|CORRUPT|NOTADB)/,
]

/**
 * What a failed question becomes: 503 where the database cannot be reached, and otherwise a bug of ours, without the values that the
 * question was asked with; they may be names, and hashes of tokens.
 */
export function storeFailure(error: unknown): unknown {
  if (error instanceof VestalError) return error
  if (error instanceof Late) return unavailable(error.message)
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  const codes = cause instanceof Error ? [field(cause, 'code'), field(cause, 'errno')] : []
  if (codes.some((code) => UNAVAILABLE.some((pattern) => pattern.test(code)))) {
    return unavailable(`the database answers ${codes.join(' ')}`)
  }
  return error instanceof DrizzleQueryError ? new Error(`a question to the database failed: ${error.query}`, { cause }) : error
}

function unavailable(reason: string): VestalError {
  return new VestalError('STORE_UNAVAILABLE', { reason, headers: { 'retry-after': '1' } })
}

function field(error: Error, name: 'code' | 'errno'): string {
  return String((error as { code?: unknown; errno?: unknown })[name] ?? '')
}
