import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { usableCores } from '../../src/platform/cores.ts'
import { SECRET } from '../servers/plan.ts'
import type { Start } from '../serving-servers/contestants.ts'
import { pythonWith } from '../serving-servers/python.ts'

/** A server of the models of `models.ts`. */
export interface TaskServer {
  readonly name: string
  readonly note: string
  /** `openai`: it embeds texts for clients of OpenAI, and takes no pictures. Default: its paths and bodies are Vestal's. */
  readonly form?: 'openai'
  /** Milliseconds at most until it answers; default a minute. */
  readonly startMsMax?: number
  /** Undefined where it cannot be started here. */
  readonly start: (port: number, folder: string) => Promise<Start | undefined>
}

const PACKAGES = readFileSync(join(import.meta.dir, 'requirements.txt'), 'utf8')
  .trim()
  .split('\n')

interface FastApi {
  readonly workers: number
  readonly threads: number
  readonly isSpinning: boolean
}

function fastApi(name: string, note: string, { workers, threads, isSpinning }: FastApi): TaskServer {
  return {
    name,
    note: `${note}; uvicorn on uvloop and httptools, orjson, runs of near lengths by the rules of Vestal; unprotected`,
    start: async (port, folder) => {
      const python = await pythonWith('tasks', PACKAGES)
      if (python === undefined) return undefined
      const values = [port, folder, workers, threads, isSpinning ? 1 : 0].map(String)
      return { command: [python, join(import.meta.dir, 'fastapi_tasks.py'), ...values], cwd: import.meta.dir }
    },
  }
}

export const VESTAL: TaskServer = {
  name: 'vestal',
  note: '`vestal start` with its defaults; protected',
  start: async (port, folder) => {
    const flags = ['--port', String(port), '--models', folder, '--data', mkdtempSync(join(tmpdir(), 'vestal-bench-data-'))]
    return {
      command: [process.execPath, join(import.meta.dir, '../../src/cli/main.ts'), 'start', ...flags],
      cwd: folder,
      env: { VESTAL_SECRET: SECRET },
    }
  },
}

/** Three settings of one application: which is the best depends on the machine. */
export const FAST_API: readonly TaskServer[] = [
  fastApi('FastAPI', 'one worker, a thread for each core', { workers: 1, threads: usableCores(), isSpinning: false }),
  fastApi('FastAPI, spinning', 'the same, whose threads spin', { workers: 1, threads: usableCores(), isSpinning: true }),
  fastApi('FastAPI, workers', 'a worker of one thread for each core', { workers: usableCores(), threads: 1, isSpinning: false }),
]

/**
 * infinity-emb with its engine of ONNX Runtime. Its packages are 5.5 GB, so who wants it installs it and names its program
 * (CONTRIBUTING). It finds a file of ONNX only beside the configuration, in its working directory.
 */
export const INFINITY: TaskServer = {
  name: 'infinity-emb',
  note: 'engine `optimum`, defaults otherwise; FP32, not optimised further: that fails with these versions; unprotected',
  form: 'openai',
  // It imports torch, and looks at its packages.
  startMsMax: 180_000,
  start: async (port, folder) => {
    const program = process.env.VESTAL_BENCH_INFINITY
    const minilm = join(folder, 'minilm')
    if (program === undefined || !existsSync(minilm)) return undefined
    const own = mkdtempSync(join(tmpdir(), 'vestal-bench-infinity-'))
    cpSync(minilm, own, { recursive: true })
    cpSync(join(minilm, 'onnx/model.onnx'), join(own, 'model.onnx'))
    rmSync(join(own, 'onnx'), { recursive: true })
    const model = ['--model-id', '.', '--served-model-name', 'minilm', '--engine', 'optimum', '--device', 'cpu']
    const address = ['--host', '127.0.0.1', '--port', String(port)]
    return {
      command: [program, 'v2', ...model, ...address, '--no-model-warmup'],
      cwd: own,
      env: { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', INFINITY_ANONYMOUS_USAGE_STATS: '0', DO_NOT_TRACK: '1' },
    }
  },
}
