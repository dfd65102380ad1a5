import type { Audit, AuditEventName } from '../../accounts/audit.ts'
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts'
import type { ErrorsOptions } from '../errors.ts'
import type { AccountsOptions } from './context.ts'

type Counted = readonly [metric: 'signIns' | 'refreshes' | 'clients', outcome: string]

/** Events that are counted, and as what. */
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

export interface CountedAccounts {
  /** The same accounts, with what is noted counted too. */
  readonly options: AccountsOptions
  /** Counts what no event is noted of. */
  readonly refused: NonNullable<ErrorsOptions['refused']>
}

/** Counts how sign-ins, refreshes and tokens of clients end. */
export function countEvents(options: AccountsOptions, registry: MetricRegistry): CountedAccounts {
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
  const { context } = options
  const audit: Audit = (event) => {
    const counted = OUTCOMES[event.event]
    if (counted !== undefined) counters[counted[0]].of(counted[1]).add()
    context.audit(event)
  }
  return {
    options: { ...options, context: { ...context, audit } },
    refused: ({ code }) => {
      if (code === 'SIGN_IN_BUSY') busy.add()
    },
  }
}
