import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { usableCores } from '../../src/platform/cores.ts'
import { SECRET } from '../servers/plan.ts'
import type { Start } from '../serving-servers/contestants.ts'
import { pythonWith } from '../serving-servers/python.ts'

/** A server of the models of `models.ts`, whose paths and bodies are Vestal's. */
export interface TaskServer {
  readonly name: string
  readonly note: string
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
