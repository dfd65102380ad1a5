import { asNumber, integer, path, type Reader, seconds } from '../readers.ts'
import { optional, single } from './row.ts'

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
  tlsCert: optional(path(), {
    help: 'Certificate of the server in PEM, followed by the intermediates. With it and `tls_key` the server speaks only TLS 1.2 and 1.3. A running server applies changes.',
  }),
  tlsKey: optional(path(), {
    help: 'Private key of the certificate in PEM, without a passphrase.',
  }),
  tlsClientCa: optional(path(), {
    help: 'CA certificates in PEM that sign client certificates; a connection without one is then refused. Permissions still come from the token.',
  }),
  unix: optional(socketPath, {
    value: 'PATH',
    help: 'Unix socket to listen on instead of `host` and `port`. It means production mode.',
  }),
  unixMode: single(fileMode, 0o660, {
    shownDefault: '660',
    value: 'MODE',
    help: 'Mode of the unix socket, in octal.',
  }),
  idleSeconds: single(seconds(5, 255), 30, {
    help: 'Seconds that a connection may be idle between requests, and a stream or a response without being read.',
  }),
  bodySeconds: single(seconds(1, 86_400), 300, {
    help: 'Seconds for a whole body to arrive; then it is rejected with 408.',
  }),
  bodyBytesPerSecondMin: single(integer(1, 1_000_000_000), 16_384, {
    help: 'Bytes a second that a body must keep up after `body_grace_seconds`; a slower one is rejected with 408.',
  }),
  bodyGraceSeconds: single(seconds(0, 3600), 10, {
    help: 'Seconds in which a body may arrive at any pace.',
  }),
}
