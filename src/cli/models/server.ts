import type { Arguments } from '../../config/arguments.ts'
import { SettingsError } from '../../config/load.ts'
import type { Mode } from '../../config/mode.ts'
import type { Settings } from '../../config/settings.ts'
import { authorityOf } from '../../core/authority.ts'
import { CommandError } from '../../core/command-error.ts'
import { loadKeys } from '../../server/load-keys.ts'
import { sign } from '../../server/sign-token.ts'

/** What a verb of `models` was asked. */
export interface ModelsRequest {
  readonly settings: Settings
  readonly mode: Mode
  readonly args: Arguments
  readonly name: string
}

/** A running server, as the command line asks it. */
export interface ModelServer {
  /**
   * Sends a request and gives the text of its answer.
   * @throws CommandError with what the server says, or that it cannot be reached
   */
  ask(path: string, options?: { readonly method?: 'GET' | 'POST'; readonly body?: string }): Promise<string>
}

const TIMEOUT_MS = 600_000
/** A token of ours lives as long as a long input may take. */
const LIFETIME_SECONDS = 3600

/** The address of the server: `--url`, or that of the settings. */
export function urlOf({ settings, args }: ModelsRequest): string {
  const text =
    args.values.get('url')?.at(-1) ??
    `${settings.tlsCert === undefined || settings.unix !== undefined ? 'http' : 'https'}://${authorityOf(settings.host, settings.port)}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url.href.replace(/\/$/, '')
  throw new SettingsError([`--url: must be an http or https address, got ${JSON.stringify(text.slice(0, 120))}`])
}

/**
 * The server at that address, with the token of `VESTAL_CLIENT_TOKEN`, or one that the local key signs for these permissions.
 * @throws SettingsError where there is neither
 */
export function serverAt(url: string, request: ModelsRequest, permissions: readonly string[]): ModelServer {
  const authorization = `Bearer ${tokenFor(request, permissions)}`
  return {
    async ask(path, { method = 'GET', body } = {}) {
      const response = await send(`${url}${path}`, {
        method,
        headers: { authorization },
        ...(body !== undefined && { body }),
        ...socketOf(request),
      })
      const text = await response.text()
      if (response.ok) return text
      throw new CommandError(`the server answered ${response.status}: ${messageOf(text)}${hintFor(response.status, request)}`)
    },
  }
}

/** The unix socket, where the server of the settings is asked and listens on one; the option is Bun's own. */
function socketOf({ settings: { unix }, args }: ModelsRequest): RequestInit {
  return unix === undefined || args.values.has('url') ? {} : ({ unix } as RequestInit)
}

function tokenFor({ settings, mode }: ModelsRequest, permissions: readonly string[]): string {
  if (settings.clientToken !== undefined) return settings.clientToken
  const { signing } = loadKeys(settings, mode)
  if (signing === undefined)
    throw new SettingsError(['VESTAL_CLIENT_TOKEN: must be set, since there is no key here that signs tokens'])
  return sign({ sub: 'command-line', data: { permissions } }, signing, { settings, lifetimeSeconds: LIFETIME_SECONDS })
}

/** Whose key signed the token that is rejected. */
function hintFor(status: number, { settings, mode }: ModelsRequest): string {
  if (status !== 401) return ''
  if (settings.clientToken !== undefined) return '; the token is that of VESTAL_CLIENT_TOKEN'
  return `; the token was signed with ${loadKeys(settings, mode).description}, and that server may have another key: VESTAL_CLIENT_TOKEN takes a token of its own`
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    throw new CommandError(`${new URL(url).origin} cannot be reached: ${reasonOf(error)}`)
  }
}

/** Bun's own text asks whether the computer can; most often nothing listens there. */
function reasonOf(error: unknown): string {
  if (/^(?:ConnectionRefused|ECONNREFUSED)$/.test(String((error as { readonly code?: unknown }).code)))
    return 'nothing listens there; is the server started? --url names another'
  return error instanceof Error ? error.message : String(error)
}

function messageOf(text: string): string {
  try {
    const { error, detail } = JSON.parse(text) as { readonly error?: unknown; readonly detail?: unknown }
    const message = error ?? detail
    return typeof message === 'string' ? message : JSON.stringify(message)
  } catch {
    return text.slice(0, 200)
  }
}
