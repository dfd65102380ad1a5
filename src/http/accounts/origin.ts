import type { Origin } from '../../accounts/audit.ts'
import { createAddressBlocks } from '../../core/address-blocks.ts'
import { remembered } from '../../telemetry/log/clean.ts'

const FORWARDED_MAX = 16

/** Stands for the other end of a unix socket among addresses, and among trusted proxies. */
const UNIX_PEER = 'unix'

/** What there is of Bun's server here. */
interface Listening {
  /** Absent on a unix socket. */
  readonly port: number | undefined
  requestIP(request: Request): { readonly address: string } | null
}

/** The other end of a request's connection; undefined in memory, and where it is gone. */
export function peerAt(server: Listening | null, request: Request): string | undefined {
  if (server === null) return undefined
  // A unix socket has no address. Bun takes five times as long to give the port as for anything else here, so it is asked last.
  return server.requestIP(request)?.address ?? (server.port === undefined ? UNIX_PEER : undefined)
}

/** Finds the client's address of a request, which came over a connection from that peer. */
export type AddressReader = (request: Request, peer: string | undefined) => string

/** Finds where a request came from. */
export type OriginReader = (request: Request, peer: string | undefined) => Origin

/** Prepares the reading of where requests came from. */
export function createOriginReader(trustedProxies: readonly string[]): OriginReader {
  const addressOf = createAddressReader(trustedProxies)
  return (request, peer) => ({
    address: addressOf(request, peer),
    userAgent: (request.headers.get('user-agent') ?? '').slice(0, 200),
  })
}

/**
 * Prepares the reading of a client's address. `X-Forwarded-For` counts only where the connection is from a trusted proxy, and is read
 * from its end: the first address that is no trusted proxy is the client's. Any client can have written what precedes it.
 */
export function createAddressReader(trustedProxies: readonly string[]): AddressReader {
  const isIn = createAddressBlocks(trustedProxies.map(plainAddress))
  const trustsSocket = trustedProxies.includes(UNIX_PEER)
  const isTrusted = (address: string) => (address === UNIX_PEER ? trustsSocket : isIn(address))
  return (request, peer) => clientAddress(request, peer, isTrusted)
}

function clientAddress(request: Request, peer: string | undefined, isTrusted: (address: string) => boolean): string {
  if (peer === undefined) return 'unknown'
  const direct = plainPeer(peer)
  if (!isTrusted(direct)) return direct
  const forwarded = (request.headers.get('x-forwarded-for') ?? '').split(',').slice(-FORWARDED_MAX)
  for (const part of forwarded.reverse()) {
    const address = plainAddress(part)
    if (!isAddress(address)) break
    if (!isTrusted(address)) return address
  }
  return direct
}

/** An address in one spelling: IPv4 in IPv6 is IPv4. */
function plainAddress(address: string): string {
  const plain = address.trim().toLowerCase()
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1] ?? plain
}

/** The same of a peer, of which few have most requests. */
const plainPeer = remembered(plainAddress)

function isAddress(text: string): boolean {
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(text) || (/^[0-9a-f:]{2,39}$/.test(text) && text.includes(':'))
}
