import { integer, keyText, line, listOf, name, oneOf, passphrase, path, secret } from '../readers.ts'
import { list, single } from './row.ts'

/** A shorter passphrase is guessed. */
export const PASSPHRASE_BYTES_MIN = 12

/** Keys, and the rules that a token must keep. */
export const TOKENS = {
  secret: single<string | undefined>(secret(32), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Shared secret that signs and verifies tokens, at least 32 bytes (48 for HS384, 64 for HS512).',
  }),
  key: single<string | undefined>(keyText(), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Key instead of a secret, as text: a PEM, a JWK or a JWK Set. A public key verifies and cannot sign.',
  }),
  keyFile: single<string | undefined>(path(), {
    default: undefined,
    shownDefault: '`data/keys.json` where `vestal keys` made it',
    value: 'FILE',
    help: 'Keys instead of a secret: a key file of `vestal keys`, a PEM, a JWK, a JWK Set, or the bytes of a shared secret. A public key verifies and cannot sign. A change is taken up while the server runs.',
  }),
  keyPassphrase: single<string | undefined>(passphrase(PASSPHRASE_BYTES_MIN), {
    default: undefined,
    value: 'TEXT',
    isSecret: true,
    help: 'Opens the key file where its private keys are sealed; asked for on the terminal when it is not set.',
  }),
  decryptionKeyFile: single<string | undefined>(path(), {
    default: undefined,
    value: 'FILE',
    help: 'Private key, a PEM or a JWK, or a shared JWK with its `alg`, that opens encrypted tokens (JWE). They are refused without one.',
  }),
  algorithm: single<string | undefined>(
    oneOf('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'),
    {
      default: undefined,
      shownDefault: 'HS256, or what the key file says',
      value: 'NAME',
      help: 'The one signature algorithm that is accepted, and that `vestal keys` makes keys for.',
    },
  ),
  signatureBackend: single<'auto' | 'native' | 'boring' | 'wasm'>(oneOf('auto', 'native', 'boring', 'wasm'), {
    default: 'auto',
    value: 'NAME',
    help: 'Library that checks signatures: native (@node-rs/jsonwebtoken, Rust), boring (BoringSSL in Bun), wasm (RustCrypto in WebAssembly), or auto: native for HMAC and boring for the rest. boring checks HMAC faster too, which counts where each token is used once.',
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
    help: 'Names this server goes by in `aud`; may be given several times. Without one a token needs no `aud`, and one that has it must name `vestal`, as those made here do.',
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
}
