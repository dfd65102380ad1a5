import type { SignatureBackendOption } from '../../src/jose/signature-backends.ts'
import { createVerifier } from '../../src/jose/verify.ts'
import type { Contestant } from './contestant.ts'

function withBackend(name: string, signatureBackend: SignatureBackendOption, note: string): Contestant {
  return {
    name,
    note,
    isAsync: false,
    create: (algorithm, { verifying }) => {
      const verify = createVerifier(verifying, { algorithms: [algorithm], signatureBackend })
      return (token) => verify(token).payload
    },
  }
}

export const vestal = withBackend('vestal', 'auto', 'strict parser, claims checked; no cache')
export const vestalBoring = withBackend('vestal, boring', 'boring', "the same with Bun's own node:crypto")
export const vestalWasm = withBackend('vestal, wasm', 'wasm', 'the same with our RustCrypto module')
export const vestalNative: Contestant = {
  ...withBackend('vestal, native', 'native', 'the same with @node-rs/jsonwebtoken'),
  algorithms: ['HS256'],
}
