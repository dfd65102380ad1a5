import { bundledChecker } from '../../wasm/bundled.ts'
import { ALGORITHMS, type Algorithm } from '../algorithms.ts'
import type { Key } from '../keys.ts'
import { type SignatureCheck, signedCharacters } from './signature-check.ts'

/** Our module of the RustCrypto crates; the key is imported into it once. */
export function wasmCheck({ verifying }: Key, algorithm: Algorithm): SignatureCheck {
  const checker = bundledChecker()
  const isSecret = ALGORITHMS[algorithm].kind === 'oct'
  const material = isSecret ? new Uint8Array(verifying.export()) : { ...verifying.export({ format: 'jwk' }) }
  const imported = checker.importKey(algorithm, material)
  return (token) => checker.verify(imported, token.text, signedCharacters(token))
}
