import { apiKeyId } from '../../accounts/api-key-text.ts'
import { subjectOfKey } from '../../accounts/api-keys.ts'
import type { Audit, AuditEvent, AuditEventName } from '../../accounts/audit.ts'
import type { ErrorCode, VestalError } from '../../core/errors.ts'
import { isModelName } from '../../inference/repository/scan.ts'
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts'
import type { PeerOf } from '../front/front.ts'
import type { RequestMemory } from '../request-memory.ts'
import type { RecordReader, RequestRecord } from '../request-record.ts'
import { nameIn } from '../route-table.ts'
import type { AccountRoutesOptions, AccountsOptions } from './context.ts'

const TEXT_LENGTH_MAX = 200

interface Parts {
  readonly registry: MetricRegistry
  readonly recordOf: (request: Request) => RequestRecord | undefined
  readonly peerOf: PeerOf
  readonly memory: RequestMemory
}

/** Accounts as one app serves them. */
export interface ServedAccounts {
  readonly options: AccountRoutesOptions
  /** Counts and audits requests that are rejected. */
  readonly failed: NonNullable<RecordReader['failed']>
}

/**
 * Prepares accounts for the routes of one app: the origin of a request has the id of its record, what is audited is counted as well, and
 * requests whose token or key is rejected, that lack a permission, or that another site's page sent are audited.
 */
export function serveAccounts(given: AccountsOptions, { registry, recordOf, peerOf, memory }: Parts): ServedAccounts {
  const { audit, countBusy } = countEvents(given, registry)
  const originOf = (request: Request) => {
    const requestId = recordOf(request)?.id
    return { ...given.originOf(request, peerOf(request)), ...(requestId !== undefined && { requestId }) }
  }
  const options = { ...given, context: { ...given.context, audit }, originOf, memory }
  return {
    options,
    failed: (error, record) => {
      if (error.code === 'SIGN_IN_BUSY') countBusy()
      auditRejection(error, record, options)
    },
  }
}

type Counted = readonly [metric: 'signIns' | 'refreshes' | 'clients', outcome: string]

/** Audited events that are counted, and as what. */
const OUTCOMES: Readonly<Partial<Record<AuditEventName, Counted>>> = {
  'sign-in': ['signIns', 'accepted'],
  'sign-in-refused': ['signIns', 'refused'],
  'sign-in-throttled': ['signIns', 'throttled'],
  'token-refreshed': ['refreshes', 'accepted'],
  'refresh-refused': ['refreshes', 'refused'],
  'refresh-reused': ['refreshes', 'reused'],
  'client-token': ['clients', 'accepted'],
  'client-refused': ['clients', 'refused'],
}

/** Counts how sign-ins, refreshes and tokens of clients end. */
function countEvents({ context }: AccountsOptions, registry: MetricRegistry) {
  const labels = ['outcome']
  const counters = {
    signIns: registry.counter('vestal_sign_ins_total', { help: 'Sign-ins with a password, by outcome.', labels }),
    refreshes: registry.counter('vestal_token_refreshes_total', { help: 'Sessions that were refreshed, by outcome.', labels }),
    clients: registry.counter('vestal_client_tokens_total', {
      help: 'OAuth clients that asked for a token, by outcome.',
      labels,
    }),
  }
  // Every outcome is there from the start: what appears with its first event has no rate for it.
  for (const [metric, outcome] of Object.values(OUTCOMES)) counters[metric].of(outcome)
  const busy = counters.signIns.of('busy')
  const audit: Audit = (event) => {
    const counted = OUTCOMES[event.event]
    if (counted !== undefined) counters[counted[0]].of(counted[1]).add()
    context.audit(event)
  }
  // No event is audited of a sign-in that the server is too busy for.
  return { audit, countBusy: () => busy.add() }
}

/** Rejections of a credential, by event. A request without one is not audited. */
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

function auditRejection(error: VestalError, record: RequestRecord, { context, originOf }: AccountRoutesOptions): void {
  const kind = EVENTS[error.code]
  if (kind === undefined) return
  const { request, route } = record
  const model = kind === 'permission-refused' ? modelIn(record) : undefined
  const event = (kind === 'permission-refused' && MODEL_CONTROL[/[^/]*$/.exec(route.path)?.[0] ?? '']) || kind
  context.audit({
    event,
    ...whoIn(event, record),
    ...(model !== undefined && { subject: model }),
    // The message of a token's rejection may hold what was in it; its code says which check failed.
    reason: event === 'token-refused' ? error.code : error.message.slice(0, TEXT_LENGTH_MAX),
    route: `${request.method} ${route.path}`,
    origin: originOf(request),
  })
}

/** Of the last segment of a route that loads or unloads a model. */
const MODEL_CONTROL: Readonly<Record<string, AuditEventName>> = { load: 'model-load-denied', unload: 'model-unload-denied' }

/** The model that a request names, where the text can be a model's name: anything else that a client writes is not for the log. */
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
function whoIn(event: AuditEventName, { request: { headers }, principal, tokenId }: RequestRecord): Partial<AuditEvent> {
  if (event === 'api-key-refused') {
    const id = apiKeyId(headers.get('x-api-key') ?? headers.get('authorization')?.replace(/^bearer +/i, '') ?? '')
    return id === undefined ? {} : { subject: subjectOfKey(id) }
  }
  return {
    // Never cut: the rest of a long issuer could be the name of a different principal.
    ...(principal !== undefined && { actor: principal.key }),
    ...(tokenId !== undefined && { tokenId: tokenId.slice(0, TEXT_LENGTH_MAX) }),
  }
}
