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

/** Who checks a signature in the end. */
export type ActiveEngine = 'native' | 'boring' | 'wasm'

/**
 * Who is asked to. `native` is @node-rs/jsonwebtoken, a Rust addon; `boring` is Bun's own node:crypto (BoringSSL); `wasm` is our module
 * of the RustCrypto crates. `auto` is Rust for HMAC and the fastest for the rest, which is BoringSSL (docs/decisions/003).
 */
export type EngineName = 'auto' | ActiveEngine

export interface EngineOptions {
  readonly engine?: EngineName
  /** True when the payload may be anything, as in a bare JWS, or padded, as Flama's: node-rs takes neither. */
  readonly isPayloadFree?: boolean
}

/** Loaded at first use and kept: what is missing at the start is missing later. */
let addon: NativeAddon | undefined
let isWarned = false

/** Prepares the check of one key with one algorithm; the work that no token changes is done here, once. */
export function createSignatureCheck(key: Key, algorithm: Algorithm, options: EngineOptions = {}): SignatureCheck {
  const engine = engineFor(algorithm, options.engine)
  if (engine === 'wasm') return wasmCheck(key, algorithm)
  if (isNativeWanted(algorithm, options.engine)) warnOfFallback()
  const verifySync = engine === 'native' && options.isPayloadFree !== true ? loadNative().verifySync : undefined
  return verifySync === undefined ? boringCheck(key, algorithm) : nativeCheck(verifySync, key, algorithm)
}

/**
 * Signs a token. Rust signs with shared secrets what it can write, by default and with `native`; everything else is BoringSSL's, and no private
 * key is ever handed to RustCrypto (RUSTSEC-2023-0071).
 */
export function createToken(key: Key, unsigned: Unsigned, engine: EngineName = 'auto'): string {
  const { algorithm, input } = unsigned
  const isNative = key.kind === 'oct' && isNativeWanted(algorithm, engine)
  if (isNative) warnOfFallback()
  const signSync = isNative ? loadNative().signSync : undefined
  const native = signSync === undefined ? undefined : nativeToken(signSync, key, unsigned)
  return native ?? `${input}.${toBase64url(createSignature(key, algorithm, input))}`
}

/** Which engine is at work for each algorithm when this one is asked for, and why it is another where it is. */
export interface SignatureEngines {
  readonly algorithms: Readonly<Record<Algorithm, ActiveEngine>>
  /** Set where Rust would be at work and the addon cannot be loaded: BoringSSL then does its work. */
  readonly fallback?: string
}

/** What is at work, as plain data, for a log or for metrics. */
export function signatureEngines(engine: EngineName = 'auto', loaded: NativeAddon = loadNative()): SignatureEngines {
  const names = Object.keys(ALGORITHMS) as Algorithm[]
  const algorithms = Object.fromEntries(names.map((name) => [name, engineFor(name, engine, loaded)]))
  // The cast: a row for each name of the table.
  const active = { algorithms: algorithms as Record<Algorithm, ActiveEngine> }
  const isMissed = loaded.reason !== undefined && (engine === 'native' || engine === 'auto')
  return isMissed ? { ...active, fallback: loaded.reason } : active
}

/** Who checks signatures of an algorithm where this engine is asked for. */
export function engineFor(algorithm: string, engine: EngineName = 'auto', loaded?: NativeAddon): ActiveEngine {
  if (engine === 'wasm' || engine === 'boring') return engine
  if (!isNativeWanted(algorithm, engine)) return 'boring'
  return (loaded ?? loadNative()).verifySync === undefined ? 'boring' : 'native'
}

/** True where Rust is to do it: whatever node-rs has when it is named, and HMAC when nobody is. */
function isNativeWanted(algorithm: string, engine: EngineName = 'auto'): boolean {
  if (engine === 'native') return isNativeAlgorithm(algorithm)
  return engine === 'auto' && algorithm.startsWith('HS')
}

/** Says once, on the standard error, that the addon cannot be had and who works in its place. */
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
