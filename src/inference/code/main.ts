/** The program of a code process: `code-process.ts` starts it. */
import { restrictProcess } from '../../processes/restrict.ts'
import { restrictCode } from './restrict-code.ts'
import { serveCode } from './serve.ts'

restrictProcess()
let fault: unknown
try {
  restrictCode({ mayUseNetwork: process.argv.includes('--network') })
} catch (error) {
  fault = error
}
serveCode(fault)
