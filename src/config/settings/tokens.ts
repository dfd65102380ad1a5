import { bytes, integer, keyText, line, listOf, name, oneOf, passphrase, path, seconds, secret } from '../readers.ts'
import { list, optional, single } from './row.ts'

/** A shorter passphrase is guessed. */
export const PASSPHRASE_BYTES_MIN = 12

/** Keys, and the rules that a token must keep. */
export const TOKENS = {
  secret: optional(secret(32), {
    isSecret: true,
    help: 'Shared secret that signs and verifies tokens, at least 32 bytes (48 for HS384, 64 for HS512).',
  }),
  key: optional(keyText(), {
    isSecret: true,
    help: 'Key instead of a secret, as text: a PEM, a JWK or a JWK Set. A public key verifies and cannot sign.',
  }),
  keyFile: optional(path(), {
    shownDefault: '`data/keys.json` if `vestal keys` made it',
    help: 'File with keys instead of a secret: a key file of `vestal keys`, a PEM, a JWK, a JWK Set, or the bytes of a shared secret. A public key verifies and cannot sign. A running server applies changes.',
  }),
  keyPassphrase: optional(passphrase(PASSPHRASE_BYTES_MIN), {
    isSecret: true,
    help: 'Passphrase of a sealed key file; without it the terminal asks.',
  }),
  decryptionKeyFile: optional(path(), {
    help: 'Key that decrypts encrypted tokens (JWE): a private PEM or JWK, or a shared JWK with its `alg`. Without one they are rejected.',
  }),
  algorithm: optional(
    oneOf('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'),
    {
      shownDefault: 'HS256, or that of the key file',
      value: 'NAME',
      help: 'The only accepted signature algorithm, and the one that `vestal keys` makes keys for.',
    },
  ),
  signatureBackend: single(oneOf('auto', 'native', 'boring', 'wasm'), 'auto', {
    value: 'NAME',
    help: 'Library that verifies signatures: native (@node-rs/jsonwebtoken, Rust), boring (BoringSSL in Bun), wasm (RustCrypto in WebAssembly), or auto: native for HMAC and boring for the rest. boring is faster for HMAC too, which matters if each token is used once.',
  }),
  accessTokenSeconds: single(seconds(1, 86_400), 300, {
    help: 'Seconds that a token made by this server or `vestal token` is valid; in development mode `vestal token` makes them for an hour unless this is set.',
  }),
  headerKey: single(name(), 'Authorization', {
    help: 'Request header that carries the token.',
  }),
  headerPrefix: single(name(), 'Bearer', {
    value: 'SCHEME',
    help: 'Scheme before the token, in any case.',
  }),
  cookieKey: single(name(), 'access_token', {
    help: 'Cookie that carries the token if the header is absent.',
  }),
  issuer: optional(line(255), {
    help: 'The only accepted `iss`, which tokens made here carry. Without it any issuer is accepted.',
  }),
  audience: list(listOf(line(255), 16), [], {
    help: 'Names of this server in `aud`. Without one a token needs no `aud`, and an `aud` must be `vestal`, as in tokens made here. Repeatable.',
  }),
  leewaySeconds: single(seconds(0, 300), 5, {
    help: 'Seconds by which clocks may differ.',
  }),
  interop: optional(oneOf('flama'), {
    help: 'Compatibility: `flama` accepts tokens made by Flama, with padded base64url, without `exp`, with null claims.',
  }),
  tokenBytesMax: single(bytes(256, 16_384), 8192, {
    help: 'Longest token; a longer one is rejected with 401, unread.',
  }),
  tokenCacheMax: single(integer(0, 1_000_000), 10_000, {
    help: 'Verified tokens in the cache, in at most 64 MiB; 0 turns it off. A token over 4096 characters is never cached.',
  }),
}
