import { ALGORITHMS, type Algorithm } from './algorithms.ts'
import { toBase64url } from './base64url.ts'
import { boringCheck, createSignature } from './engines/boring.ts'
import { isNativeAlgorithm, loadAddon, type NativeAddon, nativeCheck, nativeToken, type Unsigned } from './engines/native.ts'
import type { SignatureCheck } from './engines/signature-check.ts'
import { wasmCheck } from './engines/wasm.ts'
import type { Key } from './keys.ts'

/** Who checks a signature in the end. */
export type ActiveEngine = 'native' | 'boring' | 'wasm'

/**
 * Who is asked to. `native` is @node-rs/jsonwebtoken, a Rust addon; `boring` is Bun's own node:crypto (BoringSSL); `wasm` is our module
 * of the RustCrypto crates. `auto` is the fastest for each algorithm, by the bench (docs/decisions/003).
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
  if (options.engine === 'native') warnOfFallback()
  const verifySync = engine === 'native' && options.isPayloadFree !== true ? loadNative().verifySync : undefined
  return verifySync === undefined ? boringCheck(key, algorithm) : nativeCheck(verifySync, key, algorithm)
}

/**
 * Signs a token. Where `native` is asked for, Rust signs with shared secrets what it can write; everything else is BoringSSL's, and no private
 * key is ever handed to RustCrypto (RUSTSEC-2023-0071).
 */
export function createToken(key: Key, unsigned: Unsigned, engine: EngineName = 'auto'): string {
  const { algorithm, input } = unsigned
  if (engine === 'native') warnOfFallback()
  const signSync = engine === 'native' && key.kind === 'oct' ? loadNative().signSync : undefined
  const native = signSync === undefined ? undefined : nativeToken(signSync, key, unsigned)
  return native ?? `${input}.${toBase64url(createSignature(key, algorithm, input))}`
}

/** Which engine is at work for each algorithm when this one is asked for, and why it is another where it is. */
export interface SignatureEngines {
  readonly algorithms: Readonly<Record<Algorithm, ActiveEngine>>
  /** Set where `native` is asked for and the addon cannot be loaded: BoringSSL then does its work. */
  readonly fallback?: string
}

/** What is at work, as plain data, for a log or for metrics. */
export function signatureEngines(engine: EngineName = 'auto', loaded: NativeAddon = loadNative()): SignatureEngines {
  const names = Object.keys(ALGORITHMS) as Algorithm[]
  const algorithms = Object.fromEntries(names.map((name) => [name, engineFor(name, engine, loaded)]))
  // The cast: a row for each name of the table.
  const active = { algorithms: algorithms as Record<Algorithm, ActiveEngine> }
  return engine === 'native' && loaded.reason !== undefined ? { ...active, fallback: loaded.reason } : active
}

/** Who checks signatures of an algorithm where this engine is asked for. */
export function engineFor(algorithm: string, engine: EngineName = 'auto', loaded?: NativeAddon): ActiveEngine {
  if (engine === 'wasm' || engine === 'boring') return engine
  if (engine === 'auto' || !isNativeAlgorithm(algorithm)) return 'boring'
  return (loaded ?? loadNative()).verifySync === undefined ? 'boring' : 'native'
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
