import { Elysia } from 'elysia'
import { VestalError } from '../core/errors.ts'
import { isLoopback } from '../core/loopback.ts'
import type { JwkSet } from '../jose/keys.ts'
import { KEY_SET_SECONDS } from '../jose/public-key-set.ts'
import { jsonResponse, jsonTextResponse } from './json.ts'
import { DISCOVERY_DETAIL } from './openapi/discovery.ts'

export interface DiscoveryOptions {
  /** What may be published of the keys now. */
  readonly published: () => JwkSet
  /** The issuer of the tokens that are signed here, where it is an address: `https`, or `http` on a loopback address. */
  readonly issuer?: string
  /** True where accounts and API keys get tokens here. */
  readonly hasTokenEndpoint?: boolean
}

const KEY_SET_PATH = '/.well-known/jwks.json'
const METADATA_PATH = '/.well-known/oauth-authorization-server'

/** What other services need to check the tokens that are signed here: the public keys, and where they are (RFC 7517, RFC 8414). */
export function discovery({ published, issuer, hasTokenEndpoint = false }: DiscoveryOptions) {
  const keySet = createKeySetText(published)
  const metadata = issuer === undefined ? undefined : metadataOf(issuer, hasTokenEndpoint)
  const app = new Elysia({ name: 'discovery' })
    .get(KEY_SET_PATH, () => jsonTextResponse(keySet(), CACHED), { detail: DISCOVERY_DETAIL.keySet })
    .get(METADATA_PATH, () => answer(metadata), { detail: DISCOVERY_DETAIL.metadata })
  // RFC 8414 §3.1: of an issuer with a path the well-known part stands between host and path.
  const path = issuer === undefined || metadata === undefined ? '' : pathOf(issuer)
  if (/^(?:\/[\w.~-]+)+$/.test(path)) app.get(`${METADATA_PATH}${path}`, () => answer(metadata), { detail: { hide: true } })
  return app
}

const CACHED = { 'cache-control': `public, max-age=${KEY_SET_SECONDS}`, 'x-content-type-options': 'nosniff' }

function answer(metadata: object | undefined): Response {
  if (metadata === undefined) throw new VestalError('NOT_FOUND', { reason: 'no issuer is set that is an address' })
  return jsonResponse(metadata, CACHED)
}

/** The text of the set, made once for each set. */
function createKeySetText(published: () => JwkSet): () => string {
  let set: JwkSet | undefined
  let text = ''
  return () => {
    const now = published()
    if (now === set) return text
    set = now
    text = JSON.stringify(now)
    return text
  }
}

/**
 * RFC 8414 §2. `issuer` is the one of the tokens to the letter (§3.3). Only what exists is named, and a list without elements is left out
 * (§3.2): there is no authorization endpoint, so there are no response types.
 */
function metadataOf(issuer: string, hasTokenEndpoint: boolean): object | undefined {
  if (!isIssuerAddress(issuer)) return undefined
  const base = issuer.replace(/\/$/, '')
  return {
    issuer,
    jwks_uri: `${base}${KEY_SET_PATH}`,
    ...(hasTokenEndpoint && tokenEndpoints(base)),
  }
}

function tokenEndpoints(base: string) {
  return {
    grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
    token_endpoint: `${base}/oauth/token`,
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
    introspection_endpoint: `${base}/oauth/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'Bearer'],
    revocation_endpoint: `${base}/oauth/revoke`,
    revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
  }
}

/** RFC 8414 §2: `https`, no query, no fragment. `http` is for trying things out on this machine. */
function isIssuerAddress(issuer: string): boolean {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined
  if (url === undefined || /[?#]/.test(issuer)) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

function pathOf(issuer: string): string {
  const { pathname } = new URL(issuer)
  return pathname.replace(/\/$/, '')
}
