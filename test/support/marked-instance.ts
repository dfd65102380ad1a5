/** The real program of an instance, which a test can make end, fault, print or hang in a run, by a number in its first input. */
import { existsSync, writeSync } from 'node:fs'
import { serveInstance } from '../../src/inference/instance/serve.ts'
import { restrictProcess } from '../../src/processes/restrict.ts'
import { CRASH, FAULT, HANG, PRINT } from './marks.ts'

const PAUSE_MS = 2
const PRINTED = 'a model that prints without end\n'.repeat(32 * 1024)
/** A file: the gate is open once it is there. */
const [gate = ''] = process.argv.slice(2)

restrictProcess()
await serveInstance({
  beforeRun: ([first]) => {
    const values: readonly unknown[] = [...(first?.data ?? [])]
    if (values.includes(CRASH)) process.exit(1)
    if (values.includes(FAULT)) process.kill(process.pid, 'SIGSEGV')
    while (values.includes(PRINT) && !existsSync(gate)) for (const output of [1, 2]) writeSync(output, PRINTED)
    while (values.includes(HANG) && !existsSync(gate)) Bun.sleepSync(PAUSE_MS)
  },
})
