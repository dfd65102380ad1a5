import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from '../token-servers/build.ts'
import { pythonWith } from './python.ts'

/** How a server is started on a port. */
export interface Start {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** A server of the model `digits`. */
export interface ServingServer {
  readonly name: string
  readonly kind: 'ours' | 'bare' | 'rust' | 'python'
  readonly note: (workers: number) => string
  /** Undefined where it cannot be started here. `workers` is how many cores it may use. */
  readonly start: (port: number, workers: number) => Promise<Start | undefined>
}

const here = (file: string) => join(import.meta.dir, file)
const MODEL = here('../../models/digits/1/model.onnx')
/** ONNX Runtime as onnxruntime-node brings it, which Rust uses too. */
const RUNTIME = join(
  dirname(Bun.resolveSync('onnxruntime-node/package.json', import.meta.dir)),
  'bin/napi-v6',
  process.platform,
  process.arch,
)

function script(name: string, packages: readonly string[], file: string, note: string): ServingServer {
  return {
    name,
    kind: 'python',
    note: (workers) => note.replace('workers', countOf(workers)),
    start: async (port, workers) => {
      const python = await pythonWith(name.toLowerCase(), packages)
      if (python === undefined) return undefined
      return { command: [python, here(file), String(port), MODEL, String(workers)], cwd: import.meta.dir }
    },
  }
}

function countOf(workers: number): string {
  return workers === 1 ? 'one worker' : `${workers} workers`
}

/** MLServer reads its settings from files, and serves metrics and gRPC on ports of their own. */
const MLSERVER: ServingServer = {
  name: 'MLServer',
  kind: 'python',
  note: () => 'custom runtime, no parallel workers, as its guide says for light models; unprotected',
  start: async (port) => {
    const python = await pythonWith('mlserver', ['mlserver==1.7.1', 'onnxruntime', 'numpy'])
    if (python === undefined) return undefined
    const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-mlserver-'))
    const settings = {
      host: '127.0.0.1',
      http_port: port,
      grpc_port: port + 1,
      metrics_port: port + 2,
      parallel_workers: 0,
      debug: false,
    }
    writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings))
    const model = { name: 'digits', implementation: 'mlserver_runtime.Digits', parameters: { uri: MODEL, version: '1' } }
    writeFileSync(join(folder, 'model-settings.json'), JSON.stringify(model))
    return { command: [join(dirname(python), 'mlserver'), 'start', folder], cwd: folder, env: { PYTHONPATH: import.meta.dir } }
  },
}

const BENTOML: ServingServer = {
  name: 'BentoML',
  kind: 'python',
  note: (workers) => `${countOf(workers)}, the model in an async method; unprotected`,
  start: async (port, workers) => {
    const python = await pythonWith('bentoml', ['bentoml==1.4.39', 'onnxruntime', 'numpy'])
    if (python === undefined) return undefined
    const home = mkdtempSync(join(tmpdir(), 'vestal-bench-bentoml-'))
    mkdirSync(home, { recursive: true })
    const options = ['--host', '127.0.0.1', '--port', String(port)]
    return {
      command: [join(dirname(python), 'bentoml'), 'serve', 'bentoml_service:Digits', ...options],
      cwd: import.meta.dir,
      env: { DIGITS_MODEL: MODEL, DIGITS_WORKERS: String(workers), BENTOML_HOME: home, BENTOML_DO_NOT_TRACK: 'True' },
    }
  },
}

const AXUM: ServingServer = {
  name: 'axum + ort',
  kind: 'rust',
  note: () => 'Rust, one thread, the runtime of onnxruntime-node; unprotected',
  start: async (port) => {
    const program = await build('axum-ort')
    return program === undefined ? undefined : { command: [program, String(port), join(RUNTIME, 'libonnxruntime.so.1'), MODEL] }
  },
}

export const SERVING_SERVERS: readonly ServingServer[] = [
  {
    name: 'vestal',
    kind: 'ours',
    note: () => 'protected, the whole server: createApp',
    start: async (port) => ({ command: [process.execPath, here('vestal.ts'), String(port)] }),
  },
  {
    name: 'bare Bun.serve',
    kind: 'bare',
    note: () => 'parses the body and writes the same answer: no model, unprotected',
    start: async (port) => ({ command: [process.execPath, here('echo.ts'), String(port)] }),
  },
  AXUM,
  script(
    'FastAPI',
    ['fastapi', 'uvicorn[standard]', 'onnxruntime', 'numpy', 'orjson'],
    'fastapi_app.py',
    'uvicorn on uvloop and httptools, orjson, workers, onnxruntime; unprotected',
  ),
  MLSERVER,
  script('LitServe', ['litserve==0.2.19', 'onnxruntime', 'numpy'], 'litserve_app.py', 'workers, onnxruntime; unprotected'),
  BENTOML,
]

/** Those that are there on every machine, for a quick run. */
export const QUICK_SERVING: readonly ServingServer[] = SERVING_SERVERS.filter(({ kind }) => kind === 'ours' || kind === 'bare')
