import { apiKeyId } from '../../accounts/api-key-text.ts'
import { subjectOfKey } from '../../accounts/api-keys.ts'
import type { AuditEvent, AuditEventName } from '../../accounts/audit.ts'
import type { ErrorCode, VestalError } from '../../core/errors.ts'
import { isModelName } from '../../inference/repository/scan.ts'
import type { PeerOf } from '../front/front.ts'
import type { RequestRecord } from '../request-ledger.ts'
import type { RequestMemory } from '../request-memory.ts'
import { nameIn } from '../route-table.ts'
import type { AccountRoutesOptions, AccountsOptions } from './context.ts'

const TEXT_LENGTH_MAX = 200

interface Parts {
  readonly recordOf: (request: Request) => RequestRecord | undefined
  readonly peerOf: PeerOf
  readonly memory: RequestMemory
}

/** What the routes of an app are made of: where a request comes from is told with its id, as its answer has it. */
export function accountRoutesOptions(options: AccountsOptions, { recordOf, peerOf, memory }: Parts): AccountRoutesOptions {
  const originOf = (request: Request) => {
    const requestId = recordOf(request)?.id
    return { ...options.originOf(request, peerOf(request)), ...(requestId !== undefined && { requestId }) }
  }
  return { ...options, originOf, memory }
}

/** Refusals of what a request shows of itself, by event. A request that shows nothing is none. */
const EVENTS: Readonly<Partial<Record<ErrorCode, AuditEventName>>> = {
  PERMISSION_MISSING: 'permission-refused',
  API_KEY_REFUSED: 'api-key-refused',
  CROSS_SITE_REFUSED: 'cross-site-refused',
  AUTHORIZATION_MALFORMED: 'token-refused',
  COOKIE_AMBIGUOUS: 'token-refused',
  TOKEN_TOO_LONG: 'token-refused',
  TOKEN_MALFORMED: 'token-refused',
  TOKEN_ENCRYPTED: 'token-refused',
  DECRYPTION_FAILED: 'token-refused',
  TOKEN_TYPE_REFUSED: 'token-refused',
  HEADER_PARAMETER_REFUSED: 'token-refused',
  ALGORITHM_REFUSED: 'token-refused',
  KEY_UNKNOWN: 'token-refused',
  SIGNATURE_INVALID: 'token-refused',
  CLAIM_MISSING: 'token-refused',
  CLAIM_INVALID: 'token-refused',
  TOKEN_EXPIRED: 'token-refused',
  TOKEN_NOT_YET_VALID: 'token-refused',
  TOKEN_ISSUED_IN_FUTURE: 'token-refused',
  TOKEN_LIFETIME_TOO_LONG: 'token-refused',
  ISSUER_REFUSED: 'token-refused',
  AUDIENCE_REFUSED: 'token-refused',
  TOKEN_REVOKED: 'token-refused',
}

/** Notes each request whose token or key is refused, lacks a permission, or was sent by another site's page. */
export function createRefusalAudit({ context, originOf }: AccountRoutesOptions, { recordOf }: Pick<Parts, 'recordOf'>) {
  return (error: VestalError, request: Request): void => {
    const kind = EVENTS[error.code]
    const record = recordOf(request)
    if (kind === undefined || record === undefined) return
    const model = kind === 'permission-refused' ? modelIn(record) : undefined
    const event = (kind === 'permission-refused' && MODEL_CONTROL[/[^/]*$/.exec(record.route.path)?.[0] ?? '']) || kind
    context.audit({
      event,
      ...whoIn(event, request, record),
      ...(model !== undefined && { subject: model }),
      // The message of a token's refusal may hold what was in it; its code says which check refused.
      reason: event === 'token-refused' ? error.code : error.message.slice(0, TEXT_LENGTH_MAX),
      route: `${request.method} ${record.route.path}`,
      origin: originOf(request),
    })
  }
}

/** Of the last segment of a route that loads or unloads a model. */
const MODEL_CONTROL: Readonly<Record<string, AuditEventName>> = { load: 'model-load-denied', unload: 'model-unload-denied' }

/** The model that a request names, where the text can be a model's name: what else a caller writes is not for the log. */
function modelIn({ route, pathname }: RequestRecord): string | undefined {
  const text = nameIn(route, pathname)
  try {
    const name = text === undefined ? '' : decodeURIComponent(text)
    return isModelName(name) ? name : undefined
  } catch {
    // What is no percent-encoding names no model.
    return undefined
  }
}

/** Whoever is known: the principal of a token whose signature is right, or the key that a wrong text names. */
function whoIn(event: AuditEventName, { headers }: Request, { principal, tokenId }: RequestRecord): Partial<AuditEvent> {
  if (event === 'api-key-refused') {
    const id = apiKeyId(headers.get('x-api-key') ?? headers.get('authorization')?.replace(/^bearer +/i, '') ?? '')
    return id === undefined ? {} : { subject: subjectOfKey(id) }
  }
  return {
    // Never cut: what is left of a long issuer could be the name of somebody else.
    ...(principal !== undefined && { actor: principal.key }),
    ...(tokenId !== undefined && { tokenId: tokenId.slice(0, TEXT_LENGTH_MAX) }),
  }
}
