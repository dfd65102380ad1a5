import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../src/config/load.ts'
import { authentication } from '../../src/index.ts'
import { loadIssuers } from '../../src/server/issuers.ts'
import { DOORS } from '../support/doors.ts'
import { startKeyServer } from '../support/key-server.ts'
import { ownApp } from '../support/own-app.ts'
import { nowSeconds } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-providers-'))
const page = readFileSync(join(import.meta.dir, '../../docs/guides/identity-providers.md'), 'utf8')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KID = 'provider-key'
const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: KID, use: 'sig' }
/** Entra publishes no `alg`, and Keycloak publishes its key for encryption too. */
const SET = { keys: [jwk, { ...jwk, kid: 'encryption', use: 'enc', alg: 'RSA-OAEP' }] }
const keyServer = startKeyServer()
keyServer.answer(() => Response.json(SET))
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await keyServer.die()
})

/** A token made by hand: a provider’s header is not ours, and an undefined member is left out. */
function makeRs256(header: object, claims: object, key = rsa.privateKey): string {
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${signBytes('sha256', Buffer.from(input), key).toString('base64url')}`
}

/** The issuers of one section of the page, with keys from this test. */
function issuersOf(section: string) {
  const toml = new RegExp(`## ${section}\\n[\\s\\S]*?\`\`\`toml\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? ''
  writeFileSync(join(folder, 'vestal.toml'), toml.replace(/jwks_url = ".*"/, `jwks_url = "${keyServer.url}"`))
  return loadIssuers(loadSettings({ flags: {}, environment: {}, directory: folder }).settings)
}

const now = nowSeconds()
const TIMES = { iat: now - 5, exp: now + 300 }
const TENANT = '11111111-2222-3333-4444-555555555555'
const USER = '6f2c1d3e-0000-4000-8000-000000000000'
const COGNITO = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example'

interface Shape {
  /** The header's `typ`; none where it is absent. */
  readonly type?: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly wrong: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Access tokens as each provider writes them, and what it signs with the same keys. */
const SHAPES: Readonly<Record<string, Shape>> = {
  Keycloak: {
    type: 'JWT',
    claims: {
      ...TIMES,
      jti: 'onrtac:6f2c1d3e',
      iss: 'https://keycloak.example.org/realms/models',
      aud: ['vestal', 'account'],
      sub: USER,
      typ: 'Bearer',
      azp: 'notebook',
      sid: 'c5c7a1c2',
      acr: '1',
      'allowed-origins': ['https://notebook.example.org'],
      realm_access: { roles: ['analyst', 'offline_access', 'default-roles-models'] },
      resource_access: { vestal: { roles: ['operator'] }, account: { roles: ['manage-account'] } },
      scope: 'openid profile email',
      email_verified: true,
      preferred_username: 'zoe',
    },
    wrong: {
      'an ID token': { typ: 'ID' },
      'a refresh token': { typ: 'Refresh' },
      'a token for another client': { aud: 'account' },
      'a token of another realm': { iss: 'https://keycloak.example.org/realms/master' },
    },
  },
  Auth0: {
    type: 'at+jwt',
    claims: {
      ...TIMES,
      iss: 'https://example.eu.auth0.com/',
      sub: 'auth0|5f7c8ec7c33c6c004bbafe82',
      aud: ['https://vestal.example.org/', 'https://example.eu.auth0.com/userinfo'],
      scope: 'openid profile read:models',
      jti: 'a1b2',
      client_id: 'my_client_id',
      permissions: ['predict:models', 'read:models'],
    },
    wrong: {
      'a token for another API': { aud: ['https://example.eu.auth0.com/userinfo'] },
      'an issuer without its slash': { iss: 'https://example.eu.auth0.com' },
    },
  },
  'Microsoft Entra ID': {
    type: 'JWT',
    claims: {
      ...TIMES,
      nbf: now - 5,
      aud: '99999999-8888-7777-6666-555555555555',
      iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
      aio: 'AWQAm/8YAAAA',
      azp: 'aaaaaaaa-0000-4000-8000-000000000000',
      azpacr: '1',
      name: 'Zoë',
      oid: USER,
      preferred_username: 'zoe@example.org',
      rh: '0.AX0A',
      roles: ['Models.Read'],
      scp: 'Models.Predict User.Read',
      sub: 'nwSNkRe4g1pF',
      tid: TENANT,
      uti: 'fqiBqXLPj0eQa82S-IYFAA',
      ver: '2.0',
    },
    wrong: {
      'a token of another tenant': { iss: 'https://login.microsoftonline.com/00000000-2222-3333-4444-555555555555/v2.0' },
      'a token for another application': { aud: '00000003-0000-0000-c000-000000000000' },
      'a token of version 1': { ver: '1.0' },
    },
  },
  'Amazon Cognito': {
    claims: {
      ...TIMES,
      sub: USER,
      iss: COGNITO,
      version: 2,
      client_id: '1example23456789',
      'cognito:groups': ['analysts', 'others'],
      origin_jti: 'b2c3',
      event_id: 'd4e5',
      token_use: 'access',
      scope: 'openid vestal/predict',
      auth_time: now - 5,
      jti: 'f6a7',
      username: 'zoe',
    },
    wrong: {
      'an ID token': { token_use: 'id', aud: '1example23456789', client_id: undefined },
      'a token of another app client': { client_id: '2example23456789' },
      'a token of another pool': { iss: `${COGNITO}2` },
    },
  },
  Okta: {
    claims: {
      ...TIMES,
      ver: 1,
      jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
      iss: 'https://example.okta.com/oauth2/default',
      aud: 'api://vestal',
      cid: 'nmdP1fcyvdVO11AL7ECm',
      uid: '00ujmkLgagxeRrAg20g3',
      scp: ['openid', 'models.predict', 'models.read'],
      auth_time: now - 5,
      sub: 'zoe@example.org',
    },
    wrong: {
      'an ID token': { aud: 'nmdP1fcyvdVO11AL7ECm', cid: undefined },
      'a token of another authorization server': { iss: 'https://example.okta.com' },
    },
  },
}

for (const [provider, { type, claims, wrong }] of Object.entries(SHAPES)) {
  for (const open of DOORS) {
    const door = open(ownApp(authentication({ issuers: issuersOf(provider) }), ['model:iris:predict', 'model:iris:admin']))
    afterAll(door.close)
    const sign = (more: object = {}, key?: KeyObject) =>
      makeRs256({ alg: 'RS256', kid: KID, typ: type }, { ...claims, ...more }, key)
    const ask = async (permission: string, token: string) =>
      (await door.fetch(`/${permission.replaceAll(':', '-')}`, { headers: { authorization: `Bearer ${token}` } })).status

    describe(`${provider}, ${door.name}`, () => {
      test('is the issuer of tokens that grant what the page says', async () => {
        expect([await ask('model:iris:predict', sign()), await ask('model:iris:admin', sign())]).toEqual([200, 403])
      })

      for (const [what, change] of Object.entries(wrong)) {
        test(`does not get ${what} in`, async () => {
          expect(await ask('model:iris:predict', sign(change))).toBe(401)
        })
      }

      test('does not get in a token that a stranger signed, that is over, or that never is', async () => {
        const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
        expect(await ask('model:iris:predict', sign({}, stranger))).toBe(401)
        expect(await ask('model:iris:predict', sign({ exp: now - 10, iat: now - 300, nbf: undefined }))).toBe(401)
        expect(await ask('model:iris:predict', sign({ exp: undefined }))).toBe(401)
      })
    })
  }
}

test('every provider of the page is tried here', () => {
  const sections = [...page.matchAll(/^## (.+)\n[^#]*?```toml/gm)].map(([, name]) => name)
  expect(sections.sort()).toEqual(Object.keys(SHAPES).sort())
})
