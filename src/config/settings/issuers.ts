import { integer, line, listOf, oneOf, path, type Reader, webAddress } from '../readers.ts'
import { readTables, type TableField, type TableOf } from '../tables.ts'
import { list, optional, single, tables } from './row.ts'

const PUBLIC_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
const ALGORITHM = oneOf('HS256', 'HS384', 'HS512', ...PUBLIC_ALGORITHMS)
const claim: Reader<string> = line(255)
const MAX_AGE = integer(10, 86_400)
const STALE = integer(0, 604_800)

/** What a table `[[issuers]]` holds. */
const ISSUER_FIELDS = {
  name: { kind: 'text', isNeeded: true, read: line(255), help: 'The exact `iss` of its tokens.' },
  jwksUrl: {
    kind: 'text',
    read: webAddress(),
    help: 'Address of its published keys; `https`, or `http` on this machine. This or `key_file`.',
  },
  keyFile: {
    kind: 'text',
    read: path(),
    help: 'File with its keys: a PEM, a JWK, a JWK Set, or the bytes of a shared secret.',
  },
  audiences: {
    kind: 'texts',
    isNeeded: true,
    read: listOf(line(255), 16),
    help: 'Names of this server in its tokens; a token must have one of them.',
  },
  audienceClaim: { kind: 'text', read: claim, help: 'Claim with the audience; default `aud`.' },
  algorithms: { kind: 'texts', read: listOf(ALGORITHM, 13), help: 'Accepted algorithms; default those of its keys.' },
  tokenTypes: { kind: 'texts', read: listOf(line(64), 8), help: 'Accepted `typ`; default `token_type` of the server.' },
  requiredClaims: { kind: 'texts', read: listOf(claim, 32), help: 'Required claims besides `exp`; default none.' },
  requiredValues: {
    kind: 'textByName',
    read: line(255),
    help: 'Claims with a required value, such as `{ token_use = "access" }`.',
  },
  tokenSecondsMax: {
    kind: 'number',
    read: integer(1, 31_536_000),
    help: 'Longest time from `iat` to `exp`; default that of the server.',
  },
  permissionClaims: {
    kind: 'texts',
    read: listOf(claim, 16),
    help: 'Claims with permissions; default `data`, as Vestal writes it.',
  },
  grants: {
    kind: 'textsByName',
    read: listOf(line(255), 64),
    help: 'Permissions by value of those claims, such as a group; values that are not listed grant nothing.',
  },
  mayGrant: {
    kind: 'texts',
    read: listOf(line(255), 64),
    help: 'Permissions that it may grant at most; `*` stands for a segment. Default all.',
  },
  jwksMaxAgeSeconds: { kind: 'number', read: MAX_AGE, help: 'The setting of that name, for this issuer.' },
  jwksStaleSeconds: { kind: 'number', read: STALE, help: 'The setting of that name, for this issuer.' },
} as const satisfies Readonly<Record<string, TableField>>

export type IssuerSettings = TableOf<typeof ISSUER_FIELDS>

/** Whose tokens are accepted beside one's own. */
export const ISSUERS = {
  issuers: tables((given, fault) => readTables<IssuerSettings>(ISSUER_FIELDS, given, { fault, tablesMax: 64 }), {
    default: [] as readonly IssuerSettings[],
    fields: ISSUER_FIELDS,
    help: 'Issuers whose tokens are accepted, each with its own keys and rules; docs/guides/identity-providers.md has tables for common ones.',
    isReloadable: true,
  }),
  jwksUrl: optional(webAddress(), {
    value: 'URL',
    help: 'Address of the published keys of the only issuer, with --issuer and --audience. For several issuers write [[issuers]].',
  }),
  permissionClaim: list(listOf(claim, 16), [], {
    shownDefault: 'data',
    value: 'NAME',
    help: 'Claim with permissions, such as scope or realm_access.roles, with --jwks-url. Repeatable.',
    isReloadable: true,
  }),
  jwksMaxAgeSeconds: single(MAX_AGE, 600, {
    value: 'SECONDS',
    help: 'Seconds that fetched keys are valid; they are fetched again after half of it.',
    isReloadable: true,
  }),
  jwksStaleSeconds: single(STALE, 0, {
    value: 'SECONDS',
    help: 'Seconds that they stay valid beyond that while their address cannot be reached. A key revoked meanwhile still verifies.',
    isReloadable: true,
  }),
}
