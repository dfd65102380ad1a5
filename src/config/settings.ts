import { availableParallelism } from 'node:os'
import { integer, line, listOf, name, oneOf, pathsByName, type Reader, secret } from './readers.ts'

interface Row<T> {
  /** Given where no source has a value. */
  readonly default: T
  /** What `--help` and the documentation show for the default where it is not its own text. */
  readonly shownDefault?: string
  /** What `--help` shows for the value. */
  readonly value: string
  readonly help: string
  /** Its value is never shown, and no flag takes it: others on the machine can read a command line. */
  readonly isSecret?: true
}

interface SingleRow<T> extends Row<T> {
  readonly kind: 'single'
  readonly read: Reader<T>
}
interface ListRow<T> extends Row<T> {
  readonly kind: 'list'
  readonly read: (texts: readonly string[]) => T
}
export type SettingRow = SingleRow<unknown> | ListRow<unknown>

function single<T>(read: Reader<T & {}>, row: Row<T>): SingleRow<T> {
  return { kind: 'single', read, ...row }
}

function list<T>(read: (texts: readonly string[]) => T, row: Row<T>): ListRow<T> {
  return { kind: 'list', read, ...row }
}

const cores = availableParallelism()

/** Every setting there is. Its names elsewhere follow: `bodyBytesMax` is `--body-bytes-max`, `VESTAL_BODY_BYTES_MAX`, `body_bytes_max`. */
const TABLE = {
  host: single(line(255), {
    default: '127.0.0.1',
    value: 'ADDRESS',
    help: 'Address to listen on. Any but a loopback address means production mode.',
  }),
  port: single(integer(0, 65_535), { default: 8000, value: 'N', help: 'Port to listen on; 0 takes any that is free.' }),
  models: single(line(4096), {
    default: 'models',
    value: 'FOLDER',
    help: 'Folder with <name>/<version>/model.onnx and <name>/model.toml.',
  }),
  model: list(pathsByName(64), {
    default: new Map<string, string>() as ReadonlyMap<string, string>,
    shownDefault: 'none',
    value: 'NAME=FILE',
    help: 'A single model file to serve under a name; may be given several times.',
  }),
  data: single(line(4096), {
    default: 'data',
    value: 'FOLDER',
    help: 'Folder for what the server keeps: the development secret.',
  }),
  secret: single<string | undefined>(secret(32), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Shared secret that signs and verifies tokens, at least 32 bytes (48 for HS384, 64 for HS512).',
  }),
  keyFile: single<string | undefined>(line(4096), {
    default: undefined,
    value: 'FILE',
    help: 'Key instead of a secret: a PEM, a JWK, a JWK Set, or the bytes of a shared secret. A public key verifies and cannot sign.',
  }),
  algorithm: single<string | undefined>(
    oneOf('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'),
    {
      default: undefined,
      shownDefault: 'HS256, or what the key file says',
      value: 'NAME',
      help: 'The one signature algorithm that is accepted.',
    },
  ),
  engine: single<'auto' | 'native' | 'boring' | 'wasm'>(oneOf('auto', 'native', 'boring', 'wasm'), {
    default: 'auto',
    value: 'NAME',
    help: 'Who checks signatures: native (Rust, HMAC alone), boring (BoringSSL in Bun), wasm (RustCrypto in WebAssembly), or auto: native for HMAC and boring for the rest.',
  }),
  accessTokenSeconds: single(integer(1, 86_400), {
    default: 300,
    value: 'SECONDS',
    help: 'How long a token lives that this server or `vestal token` makes.',
  }),
  headerKey: single(name(), { default: 'Authorization', value: 'NAME', help: 'Request header that carries the token.' }),
  headerPrefix: single(name(), { default: 'Bearer', value: 'SCHEME', help: 'Scheme before the token; case does not matter.' }),
  cookieKey: single(name(), {
    default: 'access_token',
    value: 'NAME',
    help: 'Cookie that carries the token where the header is absent.',
  }),
  issuer: single<string | undefined>(line(255), {
    default: undefined,
    value: 'TEXT',
    help: 'The one accepted `iss`; tokens made here carry it. Any issuer when it is not set.',
  }),
  audience: list(listOf(line(255), 16), {
    default: [] as readonly string[],
    shownDefault: 'none',
    value: 'TEXT',
    help: 'Names this server goes by in `aud`; may be given several times. A token for an audience is refused where there is none.',
  }),
  leewaySeconds: single(integer(0, 300), { default: 5, value: 'SECONDS', help: 'By how much clocks may differ.' }),
  interop: single<'flama' | undefined>(oneOf('flama'), {
    default: undefined,
    value: 'flama',
    help: 'Accepts tokens made by Flama: padded base64url, no `exp`, null claims.',
  }),
  tokenBytesMax: single(integer(256, 16_384), {
    default: 8192,
    value: 'BYTES',
    help: 'Longest token; a longer one is refused with 401, unread.',
  }),
  tokenCacheMax: single(integer(0, 1_000_000), {
    default: 10_000,
    value: 'N',
    help: 'Verified tokens that are remembered, in at most 64 MiB; 0 remembers none. A token over 4096 characters never is.',
  }),
  bodyBytesMax: single(integer(1024, 2 ** 31), {
    default: 64 * 1024 * 1024,
    value: 'BYTES',
    help: 'Longest body of a prediction; a longer one is refused with 413.',
  }),
  queueMax: single(integer(1, 100_000), {
    default: 128,
    value: 'N',
    help: 'Predictions that wait or run at once; one more is refused with 503 and Retry-After.',
  }),
  threads: single(integer(1, 1024), {
    default: Math.max(1, cores - 1),
    shownDefault: 'one less than the cores',
    value: 'N',
    help: 'Threads that one prediction may use.',
  }),
  shutdownSeconds: single(integer(0, 600), {
    default: 7,
    value: 'SECONDS',
    help: 'How long requests at hand may take to finish once the server is told to stop.',
  }),
  title: single(line(100), { default: 'Vestal', value: 'TEXT', help: 'Name shown by /public/info/ and /docs/.' }),
  description: single(line(500), {
    default: 'ONNX models behind JSON Web Tokens: every route and every model asks for a permission.',
    value: 'TEXT',
    help: 'Text shown by /public/info/ and /docs/.',
  }),
}

export type SettingName = keyof typeof TABLE

/** What the server runs with. */
export type Settings = { readonly [Name in SettingName]: (typeof TABLE)[Name]['default'] }

/** The table of settings, for loading, help and documentation. */
export const SETTINGS: Readonly<Record<SettingName, SettingRow>> = TABLE

export const SETTING_NAMES = Object.keys(TABLE) as readonly SettingName[]

/** `bodyBytesMax` → `--body-bytes-max`. */
export function flagOf(setting: string): string {
  return `--${words(setting).join('-')}`
}

/** `bodyBytesMax` → `VESTAL_BODY_BYTES_MAX`. */
export function variableOf(setting: string): string {
  return `VESTAL_${words(setting).join('_').toUpperCase()}`
}

/** `bodyBytesMax` → `body_bytes_max`, its key in vestal.toml. */
export function keyOf(setting: string): string {
  return words(setting).join('_')
}

function words(setting: string): readonly string[] {
  return setting.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ')
}
