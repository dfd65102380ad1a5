import { ALGORITHMS, type Algorithm } from './algorithms.ts'
import { toBase64url } from './base64url.ts'
import type { Key } from './keys.ts'
import { boringCheck, createSignature } from './signature-backends/boring.ts'
import {
  isNativeAlgorithm,
  loadAddon,
  type NativeAddon,
  nativeCheck,
  nativeToken,
  type Unsigned,
} from './signature-backends/native.ts'
import type { SignatureCheck } from './signature-backends/signature-check.ts'
import { wasmCheck } from './signature-backends/wasm.ts'

/** A library that checks signatures. */
export type SignatureBackend = 'native' | 'boring' | 'wasm'

/**
 * Selects a backend: `native` is @node-rs/jsonwebtoken, a Rust addon; `boring` is Bun's own node:crypto (BoringSSL); `wasm` is our module
 * of the RustCrypto crates. `auto` is Rust for HMAC and the fastest for the rest, which is BoringSSL (docs/decisions/003).
 */
export type SignatureBackendOption = 'auto' | SignatureBackend

export interface SignatureCheckOptions {
  readonly signatureBackend?: SignatureBackendOption | undefined
  /** True when the payload may be anything, as in a bare JWS, or padded, as Flama's: node-rs takes neither. */
  readonly isPayloadFree?: boolean
}

/** Loaded at first use and kept: what is missing at the start is missing later. */
let addon: NativeAddon | undefined
let isWarned = false

/** Prepares the check of one key with one algorithm; the work that no token changes is done here, once. */
export function createSignatureCheck(key: Key, algorithm: Algorithm, options: SignatureCheckOptions = {}): SignatureCheck {
  const backend = backendFor(algorithm, options.signatureBackend)
  if (backend === 'wasm') return wasmCheck(key, algorithm)
  if (isNativeWanted(algorithm, options.signatureBackend)) warnOfFallback()
  const verifySync = backend === 'native' && options.isPayloadFree !== true ? loadNative().verifySync : undefined
  return verifySync === undefined ? boringCheck(key, algorithm) : nativeCheck(verifySync, key, algorithm)
}

/**
 * Signs a token. Rust signs with shared secrets what it can write, by default and with `native`; everything else is BoringSSL's, and no private
 * key is ever handed to RustCrypto (RUSTSEC-2023-0071).
 */
export function createToken(key: Key, unsigned: Unsigned, backend: SignatureBackendOption = 'auto'): string {
  const { algorithm, input } = unsigned
  const isNative = key.kind === 'oct' && isNativeWanted(algorithm, backend)
  if (isNative) warnOfFallback()
  const signSync = isNative ? loadNative().signSync : undefined
  const native = signSync === undefined ? undefined : nativeToken(signSync, key, unsigned)
  return native ?? `${input}.${toBase64url(createSignature(key, algorithm, input))}`
}

/** The backend of each algorithm, and why it is a different one than was asked for. */
export interface SignatureBackends {
  readonly algorithms: Readonly<Record<Algorithm, SignatureBackend>>
  /** Why the Rust addon cannot be loaded, where it was asked for; BoringSSL then does its work. */
  readonly fallback?: string
}

/**
 * Tells which backend checks each algorithm, as plain data for a log or for metrics.
 *
 * @example
 * const { algorithms, fallback } = signatureBackends()
 * console.log(algorithms.HS256, fallback)
 */
export function signatureBackends(
  backend: SignatureBackendOption = 'auto',
  loaded: NativeAddon = loadNative(),
): SignatureBackends {
  const names = Object.keys(ALGORITHMS) as Algorithm[]
  const algorithms = Object.fromEntries(names.map((name) => [name, backendFor(name, backend, loaded)]))
  // The cast: a row for each name of the table.
  const active = { algorithms: algorithms as Record<Algorithm, SignatureBackend> }
  const isMissed = loaded.reason !== undefined && (backend === 'native' || backend === 'auto')
  return isMissed ? { ...active, fallback: loaded.reason } : active
}

/** The backend that checks signatures of an algorithm where this one is asked for. */
export function backendFor(algorithm: string, backend: SignatureBackendOption = 'auto', loaded?: NativeAddon): SignatureBackend {
  if (backend === 'wasm' || backend === 'boring') return backend
  if (!isNativeWanted(algorithm, backend)) return 'boring'
  return (loaded ?? loadNative()).verifySync === undefined ? 'boring' : 'native'
}

/** True where Rust checks it: every algorithm of node-rs when it is named, and HMAC by default. */
function isNativeWanted(algorithm: string, backend: SignatureBackendOption = 'auto'): boolean {
  if (backend === 'native') return isNativeAlgorithm(algorithm)
  return backend === 'auto' && algorithm.startsWith('HS')
}

/** Warns once, on the standard error, that the addon is unavailable and what replaces it. */
export function warnOfFallback({ reason }: NativeAddon = loadNative()): void {
  if (reason === undefined || isWarned) return
  isWarned = true
  console.error(`warning: ${reason}; BoringSSL checks signatures in its place`)
}

/** The Rust addon, or why there is none. */
export function loadNative(): NativeAddon {
  addon ??= loadAddon()
  return addon
}
