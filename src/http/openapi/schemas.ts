import { Type } from '@sinclair/typebox'
import { byName, orNull, text } from '../../schema/build.ts'
import { componentsOf } from '../../schema/open-api.ts'
import { ACCOUNT_SCHEMAS } from '../accounts/schemas.ts'
import { CONTROL_SCHEMAS } from '../control/schemas.ts'
import { COHERE_SCHEMAS } from '../dialects/cohere.ts'
import { HUGGING_FACE_SCHEMAS } from '../dialects/hugging-face.ts'
import { JINA_SCHEMAS } from '../dialects/jina.ts'
import { KSERVE_SCHEMAS } from '../dialects/kserve.ts'
import { OPENAI_SCHEMAS } from '../dialects/openai.ts'
import { TEI_SCHEMAS } from '../dialects/tei.ts'
import { PREDICT_SCHEMAS } from '../predict/schemas.ts'

const texts = (description?: string) => Type.Array(Type.String(), description === undefined ? {} : { description })
/** Where this server has accounts only. */
const address = (description: string) => Type.Optional(text(description))
const methods = (description?: string) => Type.Optional(texts(description))

/** No schema is a union (`oneOf`): clients that generators make of one lose what is in it, and a value of any type goes through whole. */
const NAMED = {
  Information: Type.Object({ title: text('Name'), description: text('What it is'), public: Type.Boolean() }),
  Home: Type.Object({
    title: text('Name'),
    description: text('What it is'),
    version: text('Version of Vestal'),
    ready: Type.Boolean({ description: 'Whether the server takes predictions' }),
    links: byName(Type.String(), { description: 'Paths by what is there' }),
  }),
  ...ACCOUNT_SCHEMAS,
  ...CONTROL_SCHEMAS,
  ...PREDICT_SCHEMAS,
  ...OPENAI_SCHEMAS,
  ...TEI_SCHEMAS,
  ...COHERE_SCHEMAS,
  ...JINA_SCHEMAS,
  ...HUGGING_FACE_SCHEMAS,
  ...KSERVE_SCHEMAS,
  Reloaded: Type.Object({
    changed: texts('Settings that count from now on'),
    needs_restart: texts('Settings that count after a restart'),
  }),
  Metrics: text('Metrics in the text format of Prometheus'),
  JwkSet: Type.Object({ keys: Type.Array(Type.Object({}, { description: 'A JSON Web Key (RFC 7517 §4)' })) }),
  AuthorizationServer: Type.Object({
    issuer: text('The `iss` of the tokens that are signed here'),
    jwks_uri: text('Where the public keys are'),
    grant_types_supported: methods('Where this server has accounts, as all that follows'),
    token_endpoint: address('Where tokens are given'),
    token_endpoint_auth_methods_supported: methods(),
    introspection_endpoint: address('Where a token is described'),
    introspection_endpoint_auth_methods_supported: methods(),
    revocation_endpoint: address('Where a token is revoked'),
    revocation_endpoint_auth_methods_supported: methods(),
  }),
  Failure: Type.Object({
    status_code: Type.Integer({ description: 'The HTTP status' }),
    detail: Type.Unknown({ description: 'What is wrong: a text, or one text a field' }),
    error: orNull(Type.String(), 'Always null'),
  }),
  OpenInferenceFailure: Type.Object({ error: text('What is wrong') }),
}

export type SchemaName = keyof typeof NAMED

/** The schemas of the OpenAPI document, by name. */
export const SCHEMAS = componentsOf(NAMED)
