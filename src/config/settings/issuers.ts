import { integer, line, listOf, oneOf, path, type Reader, webAddress } from '../readers.ts'
import { readTables, type TableField, type TableOf } from '../tables.ts'
import { list, single, tables } from './row.ts'

const PUBLIC_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
const ALGORITHM = oneOf('HS256', 'HS384', 'HS512', ...PUBLIC_ALGORITHMS)
const claim: Reader<string> = line(255)
const MAX_AGE = integer(10, 86_400)
const STALE = integer(0, 604_800)

/** What a table `[[issuers]]` holds. */
export const ISSUER_FIELDS = {
  name: { kind: 'text', isNeeded: true, read: line(255), help: 'The `iss` of its tokens, to the letter.' },
  jwksUrl: {
    kind: 'text',
    read: webAddress(),
    help: 'Where it publishes its keys; `https`, or `http` on this machine. This or `key_file`.',
  },
  keyFile: {
    kind: 'text',
    read: path(),
    help: 'Its keys in a file: a PEM, a JWK, a JWK Set, or the bytes of a shared secret.',
  },
  audiences: {
    kind: 'texts',
    isNeeded: true,
    read: listOf(line(255), 16),
    help: 'What this server is called in its tokens; one of them must be there.',
  },
  audienceClaim: { kind: 'text', read: claim, help: 'The claim with the audience; default `aud`.' },
  algorithms: { kind: 'texts', read: listOf(ALGORITHM, 13), help: 'Accepted algorithms; default what its keys say.' },
  tokenTypes: { kind: 'texts', read: listOf(line(64), 8), help: 'Accepted `typ`; default `token_type` of the server.' },
  requiredClaims: { kind: 'texts', read: listOf(claim, 32), help: 'Claims that must be there beside `exp`; default none.' },
  requiredValues: {
    kind: 'textByName',
    read: line(255),
    help: 'Claims that must have one value, such as `{ token_use = "access" }`.',
  },
  tokenSecondsMax: {
    kind: 'number',
    read: integer(1, 31_536_000),
    help: 'Longest time from `iat` to `exp`; default that of the server.',
  },
  permissionClaims: {
    kind: 'texts',
    read: listOf(claim, 16),
    help: 'Claims that name permissions; default `data`, as Vestal writes it.',
  },
  grants: {
    kind: 'textsByName',
    read: listOf(line(255), 64),
    help: 'Permissions by value of those claims, such as a group; other values then grant nothing.',
  },
  mayGrant: {
    kind: 'texts',
    read: listOf(line(255), 64),
    help: 'What it may grant at most; `*` stands for a segment. Default everything.',
  },
  jwksMaxAgeSeconds: { kind: 'number', read: MAX_AGE, help: 'As the setting of that name, for this issuer.' },
  jwksStaleSeconds: { kind: 'number', read: STALE, help: 'As the setting of that name, for this issuer.' },
} as const satisfies Readonly<Record<string, TableField>>

export type IssuerSettings = TableOf<typeof ISSUER_FIELDS>

/** Whose tokens are accepted beside one's own. */
export const ISSUERS = {
  issuers: tables((given, fault) => readTables<IssuerSettings>(ISSUER_FIELDS, given, { fault, tablesMax: 64 }), {
    default: [] as readonly IssuerSettings[],
    shownDefault: 'none',
    fields: ISSUER_FIELDS,
    help: 'Issuers whose tokens are accepted, each with its own keys and rules; docs/guides/identity-providers.md has some ready.',
  }),
  jwksUrl: single<string | undefined>(webAddress(), {
    default: undefined,
    value: 'URL',
    help: 'Where the one issuer, named with --issuer and --audience, publishes its keys. For several issuers write [[issuers]].',
  }),
  permissionClaim: list(listOf(claim, 16), {
    default: [] as readonly string[],
    shownDefault: 'data',
    value: 'NAME',
    help: 'With --jwks-url: a claim that names permissions, such as scope or realm_access.roles; may be given several times.',
  }),
  jwksMaxAgeSeconds: single(MAX_AGE, {
    default: 600,
    value: 'SECONDS',
    help: 'How long published keys count; they are fetched again after half of it.',
  }),
  jwksStaleSeconds: single(STALE, {
    default: 0,
    value: 'SECONDS',
    help: 'How much longer they count while their address cannot be reached. A key that was revoked in that time still counts.',
  }),
}
