import { isUtf8 } from 'node:buffer'
import type { Static, TObject } from '@sinclair/typebox'
import type { KnownKey } from '../../accounts/api-key-directory.ts'
import { isApiKeyId } from '../../accounts/api-key-text.ts'
import { subjectOfKey } from '../../accounts/api-keys.ts'
import type { Origin } from '../../accounts/audit.ts'
import { OWN_CLIENT } from '../../accounts/issue.ts'
import { VestalError } from '../../core/errors.ts'
import type { RequestMemory } from '../request-memory.ts'
import type { AccountsOptions } from './context.ts'
import { ACCOUNT_BODY_BYTES_MAX } from './fields.ts'
import type { ClientForm } from './schemas.ts'

const FORM_TYPE = 'application/x-www-form-urlencoded'
const PARAMETERS_MAX = 32
const CLIENT_ID = /^[\x21-\x7e]{1,64}$/

/** The parameters of a form that a schema names, each a text that is not empty. */
export type Form<S extends TObject> = { readonly [Name in keyof Static<S>]?: string }

/**
 * Reads the parameters of an OAuth request. An empty one counts as absent, and none may come twice (RFC 6749 §3.2); one that the schema does not
 * name is ignored.
 * @throws VestalError BODY_INVALID, and as `readBody`
 */
export async function readForm<S extends TObject>(
  request: Request,
  schema: S,
  { memory }: { readonly memory: RequestMemory },
): Promise<Form<S>> {
  if (!isForm(request)) throw new VestalError('BODY_INVALID', { detail: `The body must be ${FORM_TYPE}` })
  const text = formText(await memory.readSmall(request, ACCOUNT_BODY_BYTES_MAX))
  const form = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (form.has(name) || form.size >= PARAMETERS_MAX)
      throw new VestalError('BODY_INVALID', { detail: 'A parameter came twice, or there are too many' })
    form.set(name, value)
  }
  const known = [...form].filter(([name, value]) => value !== '' && Object.hasOwn(schema.properties, name))
  // The cast: each name is one of the schema's.
  return Object.fromEntries(known) as Form<S>
}

/** A form that is read in one way only: valid UTF-8 and percent-encoding, where readers would put something of their own in its place. */
function formText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8')
  try {
    if (isUtf8(bytes) && decodeURIComponent(text).isWellFormed()) return text
  } catch {
    // Told below, in words of our own.
  }
  throw new VestalError('BODY_INVALID', { detail: 'The body must be UTF-8 and percent-encoded as URLs are' })
}

/** One parameter. @throws VestalError BODY_INVALID where it is missing */
export function needed<Name extends string>(form: { readonly [_ in Name]?: string }, name: Name): string {
  const value = form[name]
  if (value === undefined) throw new VestalError('BODY_INVALID', { detail: { [name]: 'is missing' } })
  return value
}

/** Who asks on behalf of an account, or for itself. */
export interface OauthClient {
  readonly id: string
  /** Its API key; absent for a public client, which keeps no secret and proves nothing (RFC 6749 §2.1). */
  readonly known: KnownKey | undefined
}

/**
 * The client that asks (RFC 6749 §2.3): by HTTP Basic or in the form, never both. Its name is an API key's id, its secret the key. One
 * that sends no secret is a public client, by a name that no API key has. Undefined where the request names none, or this server itself.
 * @throws VestalError CLIENT_REFUSED, BODY_INVALID, SIGN_IN_THROTTLED
 */
export async function clientOf(request: Request, form: Form<typeof ClientForm>, asked: Asked): Promise<OauthClient | undefined> {
  const basic = await namedByBasic(request, asked)
  const { client_id: id, client_secret: secret } = form
  const isTwice = basic !== undefined && (secret !== undefined || (id !== undefined && id !== basic.id))
  if (isTwice) throw new VestalError('BODY_INVALID', { detail: 'The client is named twice' })
  const given = basic ?? (id === undefined && secret === undefined ? undefined : { id: id ?? '', secret: secret ?? '' })
  if (given === undefined) return undefined
  if (given.secret === '' && given.id !== '') return publicClient(given.id, asked)
  return { id: given.id, known: await knownClient(given, asked) }
}

/** The client of HTTP Basic only: for routes that authenticate before they read the body. It must have a secret. */
export async function basicClientOf(request: Request, asked: Asked): Promise<KnownKey | undefined> {
  const basic = await namedByBasic(request, asked)
  return basic === undefined ? undefined : knownClient(basic, asked)
}

/** The client of a form that holds its secret (`client_secret_post`); undefined where it holds none. */
export async function postedClientOf(form: Form<typeof ClientForm>, asked: Asked): Promise<KnownKey | undefined> {
  const { client_id: id = '', client_secret: secret } = form
  return secret === undefined ? undefined : knownClient({ id, secret }, asked)
}

/** True for a request whose body is a form. */
export function isForm(request: Request): boolean {
  return request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() === FORM_TYPE
}

/** A client without a secret. The id of an API key is no public client: its holder proves possession, and no other client may use its name. */
async function publicClient(id: string, asked: Asked): Promise<OauthClient | undefined> {
  if (id === OWN_CLIENT) return undefined
  if (!CLIENT_ID.test(id))
    throw new VestalError('BODY_INVALID', { detail: { client_id: 'must be 1 to 64 printable ASCII characters without spaces' } })
  const { store } = asked.options.context
  const isKey = isApiKeyId(id) && (await store.read((records) => records.lockApiKey(id))) !== undefined
  return isKey ? { id, known: await knownClient({ id, secret: '' }, asked) } : { id, known: undefined }
}

/** Whom HTTP Basic names. A header that is nothing of the kind counts as a wrong secret does. */
function namedByBasic(request: Request, asked: Asked): Promise<Given | undefined> {
  const read = async () => {
    try {
      return basicOf(request)
    } catch (error) {
      await asked.options.context.throttle.rejectGuesser(asked.origin.address)
      throw error
    }
  }
  return noted(read, {}, asked)
}

interface Given {
  readonly id: string
  readonly secret: string
}

/** Whom clients are known by, and where the request came from. */
export interface Asked {
  readonly options: Pick<AccountsOptions, 'apiKeys' | 'context'>
  readonly origin: Origin
}

async function knownClient(given: Given, asked: Asked): Promise<KnownKey> {
  // The text sent as an id may be a secret by mistake.
  const subject = isApiKeyId(given.id) ? { subject: subjectOfKey(given.id) } : {}
  await noted(() => asked.options.context.throttle.rejectGuesser(asked.origin.address), subject, asked)
  return noted(() => findClient(given, asked.options), subject, asked)
}

/** The result. A rejected client is audited; a wrong or unknown secret is counted against the address. */
async function noted<T>(
  work: () => T | Promise<T>,
  subject: { readonly subject?: string },
  { options, origin }: Asked,
): Promise<T> {
  const { throttle, audit } = options.context
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof VestalError)) throw error
    audit({ event: 'client-refused', ...subject, reason: error.message, origin })
    if (error.code === 'CLIENT_REFUSED') await throttle.guessed(origin.address)
    throw error
  }
}

function findClient({ id, secret }: Given, { apiKeys }: Pick<AccountsOptions, 'apiKeys'>): KnownKey {
  try {
    const known = apiKeys.find(secret)
    if (known.key.id === id) return known
  } catch (error) {
    if (!(error instanceof VestalError)) throw error
    throw rejected(error.message)
  }
  throw rejected('the secret is another client’s')
}

function rejected(reason: string): VestalError {
  return new VestalError('CLIENT_REFUSED', { reason, headers: { 'www-authenticate': 'Basic realm="vestal", charset="UTF-8"' } })
}

/** Name and secret of HTTP Basic, each of them form-encoded (RFC 6749 §2.3.1). A browser sends an empty one for an empty prompt. */
function basicOf(request: Request): Given | undefined {
  const header = request.headers.get('authorization')
  if (header === null || !/^basic /i.test(header)) return undefined
  const encoded = /^basic +([\w+/]+={0,2})$/i.exec(header)?.[1]
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) throw rejected('the header is not Basic')
  if (text === ':') return undefined
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part.replaceAll('+', ' '))
    } catch {
      throw rejected('the header is not form-encoded')
    }
  }
  return { id: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)) }
}
