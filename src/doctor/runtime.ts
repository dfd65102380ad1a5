import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../inference/create-engine.ts'
import { loadAddon } from '../jose/signature-backends/native.ts'
import { createTemporaryFolder } from '../platform/temporary-folder.ts'
import { type Finding, note, orRight, right, type Subject, wrong } from './finding.ts'

const NAME = 'runtime'
/** An ONNX model that gives its one number back: `y = Identity(x)`, opset 13. */
const IDENTITY = Buffer.from('CAhCAhANOjcKEAoBeBIBeSIISWRlbnRpdHkSAWdaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggB', 'base64')

/** Checks that ONNX Runtime loads a valid model, from a temporary folder or, where the root is read-only, from the data folder. */
export async function lookAtRuntime({ settings: { data } }: Subject): Promise<readonly Finding[]> {
  const folder = temporaryFolder([tmpdir(), data])
  if (folder === undefined)
    return [note('whether ONNX Runtime loads is not known: neither the temporary folder nor the data folder can be written to')]
  try {
    const file = join(folder, 'identity.onnx')
    writeFileSync(file, IDENTITY)
    const engine = await createEngine({ files: new Map([[NAME, file]]), instances: 1, threads: 1, warn: () => undefined })
    const [version] = engine.model(NAME)?.versions ?? []
    await engine.stop()
    if (version?.state === 'ready') return [right('ONNX Runtime loads')]
    return [
      wrong(
        `a model of one operator cannot be loaded: ${version?.reason ?? 'no reason is known'}`,
        'bun install again, on the platform that it runs on; an executable needs lib/ beside it. On Linux it needs glibc and libstdc++: musl will not do.',
      ),
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A new folder in the first of these that can be written to; undefined where none can. */
function temporaryFolder(parents: readonly string[]): string | undefined {
  for (const parent of parents) {
    try {
      return createTemporaryFolder('doctor', parent)
    } catch {
      // Missing, or read-only: the next one may do.
    }
  }
  return undefined
}

/** The Rust addon that checks signatures. */
export function lookAtAddon({ settings: { signatureBackend: backend } }: Subject): readonly Finding[] {
  const { reason } = loadAddon()
  if (reason === undefined) return [right('the Rust addon loads')]
  if (backend === 'boring' || backend === 'wasm') return [note(`${reason}; --signature-backend ${backend} does without`)]
  return [
    wrong(
      `${reason}; BoringSSL checks signatures in its place`,
      'bun install again, on the platform that it runs on; or --signature-backend boring, which does without.',
    ),
  ]
}

/** Checks that nothing is reported to third parties: workers start with ONNX Runtime's telemetry off, and Bun must not report its crashes. */
export function lookAtTelemetry({ environment }: Subject): readonly Finding[] {
  const findings: Finding[] = []
  for (const name of ['BUN_CRASH_REPORT_URL', 'BUN_ENABLE_CRASH_REPORTING']) {
    const value = environment[name]
    if (value !== undefined && value !== '' && value !== '0')
      findings.push(wrong(`${name} is set: a crash of Bun would be reported to others`, `Take ${name} out of the environment.`))
  }
  return orRight(findings, 'ONNX Runtime’s is turned off before it is loaded, and crash reports of Bun are off')
}
