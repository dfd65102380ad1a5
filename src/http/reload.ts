import { Elysia } from 'elysia'
import type { Origin } from '../accounts/audit.ts'
import type { ChangingRules } from '../auth/issuers.ts'
import type { Change } from '../core/change.ts'
import type { AuthenticationPlugin } from './authentication.ts'
import { jsonResponse } from './json.ts'
import { operation } from './openapi/operation.ts'
import type { ChangingOperations } from './operations.ts'

/** The permission that `/admin/reload` asks for. */
const RELOAD_PERMISSION = 'server:reload'

/** Who asked for a reload. */
export interface ReloadedBy {
  readonly actor: string
  readonly origin?: Origin
}

/** The outcome of a reload, with settings by their names in vestal.toml. */
export interface Reloaded {
  /** Settings that count from now on. */
  readonly changed: readonly string[]
  /** Settings whose source has a different value, which counts after a restart. */
  readonly needsRestart: readonly string[]
}

/** What of an app may change while it serves. */
export interface ChangingApp {
  readonly rules: ChangingRules
  readonly operations: ChangingOperations
}

/** Reads the settings again. */
export interface Reloading {
  /** Applies all of them, or none. @throws VestalError RELOAD_REFUSED with everything that is wrong */
  readonly reload: (by: ReloadedBy) => Promise<Reloaded>
  /** Adds the part of an app. */
  readonly subscribe: (prepare: (next: ChangingApp) => Promise<Change>) => void
}

interface ReloadRouteOptions {
  readonly authentication: AuthenticationPlugin
  readonly reload: Reloading['reload']
  /** Where a request came from, for the audit log; absent where there is none. */
  readonly originOf: ((request: Request) => Origin) | undefined
}

/** Asks the server to read its settings again. */
export function reload({ authentication, reload, originOf }: ReloadRouteOptions) {
  return new Elysia({ name: 'reload' }).use(authentication).post(
    '/admin/reload',
    async ({ request, token }) => {
      const origin = originOf?.(request)
      const { changed, needsRestart } = await reload({
        actor: token.principal.key,
        ...(origin !== undefined && { origin }),
      })
      return jsonResponse({ changed, needs_restart: needsRestart }, { 'cache-control': 'no-store' })
    },
    { parse: 'none', permissions: [RELOAD_PERMISSION], detail: DETAIL },
  )
}

const DETAIL = operation({
  tag: 'Operations',
  summary: 'Read the settings again',
  description:
    'Reads them from where the start read them. All of them are checked first: where one is wrong, none is applied, and the answer names each fault.',
  permission: RELOAD_PERMISSION,
  answer: {
    description: 'What changed, and what needs a restart',
    schema: 'Reloaded',
    example: { changed: ['log_level', 'issuers'], needs_restart: ['port'] },
  },
  failures: [422, 503],
})
