/** The program of an instance process: `instance-process.ts` starts it. */
import { restrictProcess } from '../../processes/restrict.ts'
import { serveInstance } from './serve.ts'

restrictProcess()
await serveInstance()
