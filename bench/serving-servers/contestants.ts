import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from '../token-servers/build.ts'
import { pythonWith, versionsOf } from './python.ts'

/** How a server is started on a port. */
export interface Start {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Versions of what it is made of. */
  readonly versions?: string
}

/** A server of the model `digits`. */
export interface ServingServer {
  readonly name: string
  readonly kind: 'ours' | 'variant' | 'bare' | 'rust' | 'fastapi' | 'python'
  readonly note: string
  /** What it needs of the machine; none where it is always there. */
  readonly needs?: 'cargo' | 'python3'
  /** Cores that it may use, where it must be told. */
  readonly workers?: number
  /** Flags of `bun run start`, which is started as users do. */
  readonly flags?: readonly string[]
  /** How any other is started on a port; undefined where it cannot be started here. */
  readonly start?: (port: number) => Promise<Start | undefined>
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

const countOf = (workers: number) => (workers === 1 ? 'one worker' : `${workers} workers`)

/** One of Python's, with one worker or one for each core: which is better depends on the machine. */
function byWorkers(
  name: string,
  kind: ServingServer['kind'],
  note: string,
  start: (port: number, workers: number) => Promise<Start | undefined>,
) {
  const counts = [...new Set([1, availableParallelism()])]
  return counts.map(
    (workers): ServingServer => ({
      name: `${name}, ${countOf(workers)}`,
      kind,
      note: `${note}; unprotected`,
      needs: 'python3',
      workers,
      start: (port) => start(port, workers),
    }),
  )
}

/** A server that is a script of ours with these packages. */
function script(name: string, packages: readonly string[], file: string) {
  return async (port: number, workers: number): Promise<Start | undefined> => {
    const python = await pythonWith(name, packages)
    if (python === undefined) return undefined
    const command = [python, here(file), String(port), MODEL, String(workers)]
    return { command, cwd: import.meta.dir, versions: await versionsOf(python, packages) }
  }
}

/** MLServer reads its settings from files, and serves metrics and gRPC on ports of their own. */
const MLSERVER: ServingServer = {
  name: 'MLServer',
  kind: 'python',
  note: 'custom runtime, no parallel workers, as its guide says for light models; unprotected',
  needs: 'python3',
  start: async (port) => {
    const packages = ['mlserver==1.7.1', 'onnxruntime', 'numpy']
    const python = await pythonWith('mlserver', packages)
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
    const versions = await versionsOf(python, packages)
    return {
      command: [join(dirname(python), 'mlserver'), 'start', folder],
      cwd: folder,
      env: { PYTHONPATH: import.meta.dir },
      versions,
    }
  },
}

async function bentoml(port: number, workers: number): Promise<Start | undefined> {
  const packages = ['bentoml==1.4.39', 'onnxruntime', 'numpy']
  const python = await pythonWith('bentoml', packages)
  if (python === undefined) return undefined
  const home = mkdtempSync(join(tmpdir(), 'vestal-bench-bentoml-'))
  const options = ['--host', '127.0.0.1', '--port', String(port)]
  return {
    command: [join(dirname(python), 'bentoml'), 'serve', 'bentoml_service:Digits', ...options],
    cwd: import.meta.dir,
    env: { DIGITS_MODEL: MODEL, DIGITS_WORKERS: String(workers), BENTOML_HOME: home, BENTOML_DO_NOT_TRACK: 'True' },
    versions: await versionsOf(python, packages),
  }
}

const AXUM: ServingServer = {
  name: 'axum + ort',
  kind: 'rust',
  note: 'Rust, one thread, the runtime of onnxruntime-node; unprotected',
  needs: 'cargo',
  start: async (port) => {
    const program = await build('axum-ort')
    if (program === undefined) return undefined
    const manifest = readFileSync(here('axum-ort/Cargo.toml'), 'utf8')
    const versions = ['axum', 'ort'].map(
      (name) => `${name} ${new RegExp(`^${name} = .*?"=?([0-9][^"]*)"`, 'm').exec(manifest)?.[1]}`,
    )
    return { command: [program, String(port), join(RUNTIME, 'libonnxruntime.so.1'), MODEL], versions: versions.join(', ') }
  },
}

/** Packages of the FastAPI application. */
export const FASTAPI = ['fastapi', 'uvicorn[standard]', 'onnxruntime', 'numpy', 'orjson']
const RAY = ['ray[serve]', 'onnxruntime', 'numpy', 'orjson']
const PYTRITON = ['nvidia-pytriton', 'onnxruntime']
const LITSERVE = ['litserve==0.2.19', 'onnxruntime', 'numpy']

/** Those that are there on every machine, for a quick run. */
export const QUICK_SERVING: readonly ServingServer[] = [
  { name: 'vestal start', kind: 'ours', note: '`bun run start` as it is, log to a file that is read; protected', flags: [] },
  { name: 'vestal start, no access log', kind: 'variant', note: '`--access-log off`; protected', flags: ['--access-log', 'off'] },
  {
    name: 'bare Bun.serve',
    kind: 'bare',
    note: 'parses the body and writes the same answer: no model, unprotected',
    start: async (port) => ({ command: [process.execPath, here('echo.ts'), String(port)] }),
  },
]

/** Those that start and install in a minute. */
export const FAST_SERVING: readonly ServingServer[] = [
  ...QUICK_SERVING,
  { name: 'vestal start, two processes', kind: 'variant', note: '`--processes 2`; protected', flags: ['--processes', '2'] },
  {
    name: 'createApp',
    kind: 'variant',
    note: 'the library, without a log; protected',
    start: async (port) => ({ command: [process.execPath, here('vestal.ts'), String(port)] }),
  },
  AXUM,
  ...byWorkers('FastAPI', 'fastapi', 'uvicorn on uvloop and httptools, orjson', script('fastapi', FASTAPI, 'fastapi_app.py')),
]

export const SERVING_SERVERS: readonly ServingServer[] = [
  ...FAST_SERVING,
  MLSERVER,
  ...byWorkers('LitServe', 'python', 'its defaults', script('litserve', LITSERVE, 'litserve_app.py')),
  ...byWorkers('BentoML', 'python', 'the model in an async method', bentoml),
  ...byWorkers(
    'Ray Serve',
    'python',
    'a replica for each worker, RAY_SERVE_THROUGHPUT_OPTIMIZED',
    script('ray', RAY, 'ray_app.py'),
  ),
  ...byWorkers('PyTriton', 'python', 'Triton’s own front end, its batcher on', script('pytriton', PYTRITON, 'pytriton_app.py')),
]
