import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto'
import { createRequire } from 'node:module'
import { bundledChecker } from '../wasm/bundled.ts'
import { ALGORITHMS, type Algorithm } from './algorithms.ts'
import { bytesOfBase64url } from './base64url.ts'
import type { CompactJws } from './compact.ts'
import type { Key } from './keys.ts'

/**
 * Who checks signatures. `native` is @node-rs/jsonwebtoken (Rust) and takes HMAC tokens with a JSON payload; `boring` is Bun's own
 * node:crypto (BoringSSL) and takes everything; `wasm` is our module of the RustCrypto crates and takes everything, also where neither
 * of the others is. `auto`: native for HMAC, boring for the rest, which node-rs does ten times slower.
 */
export type EngineName = 'auto' | 'native' | 'boring' | 'wasm'

/** Answers whether a token's signature is right, and nothing else about it. */
export type SignatureCheck = (token: CompactJws) => boolean

export interface EngineOptions {
  readonly engine?: EngineName
  /** True when the payload may be anything, as in a bare JWS, or padded, as Flama's: node-rs takes neither. */
  readonly isPayloadFree?: boolean
}

/** Prepares the check of one key with one algorithm; the work that no token changes is done here, once. */
export function createSignatureCheck(key: Key, algorithm: Algorithm, options: EngineOptions = {}): SignatureCheck {
  const engine = options.engine ?? 'auto'
  const mayBeNative = key.kind === 'oct' && options.isPayloadFree !== true
  if (engine === 'native' && !mayBeNative) throw new TypeError(`the engine "native" does not check ${algorithm} here; use "auto"`)
  if (engine === 'wasm') return wasmCheck(key.verifying, algorithm)
  if (engine === 'boring' || !mayBeNative) return boringCheck(key.verifying, algorithm)
  const { verifySync } = loadNative()
  if (verifySync !== undefined) return nativeCheck(verifySync, key.verifying, algorithm)
  if (engine === 'native') throw new TypeError('the engine "native" is asked for and @node-rs/jsonwebtoken cannot be loaded')
  return boringCheck(key.verifying, algorithm)
}

/** Who checks signatures of an algorithm where this engine is asked for. */
export function engineFor(algorithm: string, engine: EngineName = 'auto'): Exclude<EngineName, 'auto'> {
  if (engine !== 'auto') return engine
  return algorithm.startsWith('HS') && loadNative().verifySync !== undefined ? 'native' : 'boring'
}

type VerifySync = typeof import('@node-rs/jsonwebtoken').verifySync

/** Loads the Rust addon at first use, so that a platform without one still serves; says why where it cannot. */
export function loadNative(): { readonly verifySync?: VerifySync; readonly reason?: string } {
  try {
    const { verifySync } = createRequire(import.meta.url)('@node-rs/jsonwebtoken') as typeof import('@node-rs/jsonwebtoken')
    return { verifySync }
  } catch (error) {
    return { reason: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) }
  }
}

/**
 * node-rs as a signature oracle: it also checks claims, laxly, so those checks are off and what it returns is thrown away.
 * Every throw is a refusal: its texts differ from version to version.
 */
function nativeCheck(verifySync: VerifySync, key: KeyObject, algorithm: Algorithm): SignatureCheck {
  const secret = key.export()
  // The cast: node-rs declares a const enum that is these names at run time.
  const algorithms = [algorithm] as unknown as Required<NonNullable<Parameters<VerifySync>[2]>>['algorithms']
  const validation = Object.freeze({ algorithms, requiredSpecClaims: [], validateExp: false, validateNbf: false })
  return (token) => {
    try {
      verifySync(token.text, secret, validation)
      return true
    } catch {
      return false
    }
  }
}

function wasmCheck(key: KeyObject, algorithm: Algorithm): SignatureCheck {
  const checker = bundledChecker()
  const isSecret = ALGORITHMS[algorithm].kind === 'oct'
  const imported = checker.importKey(algorithm, isSecret ? new Uint8Array(key.export()) : { ...key.export({ format: 'jwk' }) })
  return (token) => checker.verify(imported, token.text, token.header.length + 1 + token.payload.length)
}

function boringCheck(key: KeyObject, algorithm: Algorithm): SignatureCheck {
  const { kind, hash, signatureBytes } = ALGORITHMS[algorithm]
  if (kind === 'oct') {
    return (token) => {
      const expected = createHmac(hash, key).update(signingInput(token)).digest()
      const given = bytesOfBase64url(token.signature)
      // timingSafeEqual throws on different lengths; the length of a MAC is no secret.
      return given.length === expected.length && timingSafeEqual(given, expected)
    }
  }
  const material = verifyOptions(key, algorithm)
  return (token) => {
    const given = bytesOfBase64url(token.signature)
    if (signatureBytes !== 0 && given.length !== signatureBytes) return false
    try {
      return verify(hash === '' ? null : hash, Buffer.from(signingInput(token)), material, given)
    } catch {
      // BoringSSL throws on some malformed signatures; whatever it cannot read is not a signature.
      return false
    }
  }
}

/** The bytes of a signature over `input`, in the form that RFC 7518 §3 gives the algorithm. */
export function createSignature(key: Key, algorithm: Algorithm, input: string): Buffer {
  if (key.signing === undefined) throw new TypeError('this key is public: it verifies and cannot sign')
  const { kind, hash } = ALGORITHMS[algorithm]
  if (kind === 'oct') return createHmac(hash, key.signing).update(input).digest()
  return sign(hash === '' ? null : hash, Buffer.from(input), verifyOptions(key.signing, algorithm))
}

/** PS* salts are as long as the hash (RFC 7518 §3.5) and ES* signatures are r and s, not DER (§3.4): neither is the default. */
function verifyOptions(key: KeyObject, algorithm: Algorithm) {
  if (algorithm.startsWith('PS')) {
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: ALGORITHMS[algorithm].hashBytes }
  }
  return algorithm.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' as const } : { key }
}

function signingInput(token: CompactJws): string {
  return token.text.slice(0, token.header.length + 1 + token.payload.length)
}
