import { type ActiveEngine, type EngineName, signatureEngines } from '../jwt/signature-engines.ts'

const NAMES: Readonly<Record<ActiveEngine, string>> = {
  native: 'native (Rust, @node-rs/jsonwebtoken)',
  boring: 'boring (BoringSSL in Bun)',
  wasm: 'wasm (RustCrypto in WebAssembly)',
}

/** Which engine checks signatures, algorithm by algorithm where they differ. */
export function describeEngines(engine: EngineName): string {
  const { algorithms } = signatureEngines(engine)
  const groups = Map.groupBy(Object.entries(algorithms), ([, active]) => active)
  if (groups.size === 1) return [...groups.keys()].map((active) => NAMES[active]).join('')
  return [...groups].map(([active, rows]) => `${rows.map(([name]) => name).join(', ')}: ${NAMES[active]}`).join('; ')
}
