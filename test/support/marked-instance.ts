/** The real program of an instance, which a test can make end, fault or hang in a run, by a number in its first input. */
import { existsSync } from 'node:fs'
import { restrictInstance } from '../../src/inference/instance/restrict.ts'
import { serveInstance } from '../../src/inference/instance/serve.ts'
import { CRASH, FAULT, HANG } from './marks.ts'

const PAUSE_MS = 2
/** A file: the gate is open once it is there. */
const [gate = ''] = process.argv.slice(2)

restrictInstance()
await serveInstance({
  beforeRun: ([first]) => {
    const values: readonly unknown[] = [...(first?.data ?? [])]
    if (values.includes(CRASH)) process.exit(1)
    if (values.includes(FAULT)) process.kill(process.pid, 'SIGSEGV')
    while (values.includes(HANG) && !existsSync(gate)) Bun.sleepSync(PAUSE_MS)
  },
})
