/** The program of an instance process: `instance-process.ts` starts it. */
import { restrictInstance } from './restrict.ts'
import { serveInstance } from './serve.ts'

restrictInstance()
await serveInstance()
