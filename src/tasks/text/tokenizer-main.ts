/** The program of a tokenizer process: `tokenizer-pool.ts` starts it. */
import { restrictProcess } from '../../processes/restrict.ts'
import { serveTokenizers } from './tokenizer-serve.ts'

restrictProcess()
serveTokenizers()
