import { type ActiveEngine, type EngineName, signatureEngines } from '../jose/signature-backends.ts'

const NAMES: Readonly<Record<ActiveEngine, string>> = {
  native: 'native (Rust, @node-rs/jsonwebtoken)',
  boring: 'boring (BoringSSL in Bun)',
  wasm: 'wasm (RustCrypto in WebAssembly)',
}

/** Which engine checks signatures, algorithm by algorithm where they differ; most of them are "the rest". */
export function describeEngines(engine: EngineName): string {
  const { algorithms } = signatureEngines(engine)
  const groups = Map.groupBy(Object.entries(algorithms), ([, active]) => active)
  if (groups.size === 1) return [...groups.keys()].map((active) => NAMES[active]).join('')
  const [rest, ...others] = [...groups].sort(([, left], [, right]) => right.length - left.length)
  const named = others.map(([active, rows]) => `${rows.map(([name]) => name).join(', ')}: ${NAMES[active]}`)
  return [...named, ...(rest === undefined ? [] : [`the rest: ${NAMES[rest[0]]}`])].join('; ')
}
