import { asNumber, integer, path, type Reader } from '../readers.ts'
import { single } from './row.ts'

/** What `sun_path` of Linux holds, without the byte that ends it. */
const SOCKET_PATH_BYTES_MAX = 107

const socketPath: Reader<string> = (text) => {
  const bytes = Buffer.byteLength(text)
  if (/^unix:/i.test(text)) throw new RangeError('must be a plain path, without unix:')
  if (/^[^\p{Cc}@][^\p{Cc}]*$/u.test(text) && bytes <= SOCKET_PATH_BYTES_MAX) return text
  throw new RangeError(`must be a path of 1 to ${SOCKET_PATH_BYTES_MAX} bytes that does not begin with "@"`)
}

const fileMode: Reader<number> = asNumber((text) => {
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8)
  throw new RangeError('must be three octal digits, such as 660')
})

/** How connections come in, and how long they may take. */
export const NETWORK = {
  tlsCert: single<string | undefined>(path(), {
    default: undefined,
    value: 'FILE',
    help: 'Certificate of the server in PEM, followed by the intermediates. With it and `tls_key` the server speaks only TLS 1.2 and 1.3. A running server applies changes.',
  }),
  tlsKey: single<string | undefined>(path(), {
    default: undefined,
    value: 'FILE',
    help: 'Private key of the certificate in PEM, without a passphrase.',
  }),
  tlsClientCa: single<string | undefined>(path(), {
    default: undefined,
    value: 'FILE',
    help: 'CA certificates in PEM that sign client certificates; a connection without one is then refused. Permissions still come from the token.',
  }),
  unix: single<string | undefined>(socketPath, {
    default: undefined,
    value: 'PATH',
    help: 'Unix socket to listen on instead of `host` and `port`. It means production mode.',
  }),
  unixMode: single(fileMode, { default: 0o660, shownDefault: '660', value: 'MODE', help: 'Mode of the unix socket, in octal.' }),
  idleSeconds: single(integer(5, 255), {
    default: 30,
    value: 'SECONDS',
    help: 'Seconds that a connection may be idle between requests, and a stream or a response without being read.',
  }),
  bodySeconds: single(integer(1, 86_400), {
    default: 300,
    value: 'SECONDS',
    help: 'Seconds for a whole body to arrive; then it is rejected with 408.',
  }),
  bodyBytesPerSecondMin: single(integer(1, 1_000_000_000), {
    default: 16_384,
    value: 'N',
    help: 'Bytes a second that a body must keep up after `body_grace_seconds`; a slower one is rejected with 408.',
  }),
  bodyGraceSeconds: single(integer(0, 3600), {
    default: 10,
    value: 'SECONDS',
    help: 'Seconds in which a body may arrive at any pace.',
  }),
}
