import type { EngineName } from '../../src/jose/signature-backends.ts'
import { createVerifier } from '../../src/jose/verify.ts'
import type { Contestant } from './contestant.ts'

function withEngine(name: string, engine: EngineName, note: string): Contestant {
  return {
    name,
    note,
    isAsync: false,
    create: (algorithm, { verifying }) => {
      const verify = createVerifier(verifying, { algorithms: [algorithm], engine })
      return (token) => verify(token).payload
    },
  }
}

export const vestal = withEngine('vestal', 'auto', 'strict parser, claims checked; no cache')
export const vestalBoring = withEngine('vestal, boring', 'boring', "the same with Bun's own node:crypto")
export const vestalWasm = withEngine('vestal, wasm', 'wasm', 'the same with our RustCrypto module')
export const vestalNative: Contestant = {
  ...withEngine('vestal, native', 'native', 'the same with @node-rs/jsonwebtoken'),
  algorithms: ['HS256'],
}
