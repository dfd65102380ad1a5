/** The program of a media process: `media-pool.ts` starts it. */
import { restrictProcess } from '../../processes/restrict.ts'
import { serveMedia } from './serve.ts'

restrictProcess()
serveMedia()
