import { operation } from './operation.ts'

const TAG = 'Keys'
const ISSUER = 'https://vestal.example'
const KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
  use: 'sig',
  alg: 'ES256',
}

/** The documentation of the routes that help others to check tokens. */
export const DISCOVERY_DETAIL = {
  keySet: operation({
    tag: TAG,
    summary: 'The public keys of the tokens that are signed here',
    description: 'A JWK Set (RFC 7517) of the next, the active and the retired keys. It is empty where a shared secret signs.',
    answer: { description: 'The keys', schema: 'JwkSet', example: { keys: [KEY] } },
  }),
  metadata: operation({
    tag: TAG,
    summary: 'Where the public keys of this issuer are (RFC 8414)',
    description: 'It is there where the setting `issuer` is an address. Only what exists is named.',
    answer: {
      description: 'The metadata',
      schema: 'AuthorizationServer',
      example: { issuer: ISSUER, jwks_uri: `${ISSUER}/.well-known/jwks.json` },
    },
    failures: [404],
  }),
}
