/** What a tokenizer process does: it encodes and decodes what a server sends it, until its socket is closed. */
import { openMessageSocket } from '../../processes/message-socket.ts'
import { jsonFrame, readJob, type TokenizerAnswer, type TokenizerJob } from './tokenizer-messages.ts'
import { TokenizerFailure } from './tokens.ts'

/** Its descriptor. */
const SOCKET = 3

/** Answers jobs; the server sends the next once it has the answer. */
export function serveTokenizers(): void {
  const socket = openMessageSocket(SOCKET, {
    frame(cursor) {
      void answerOf(readJob(cursor)).then((answer) => {
        const { kind, write } = jsonFrame(answer)
        socket.send(kind, write)
      })
    },
    // Without exit handlers: those of native libraries may fail, and nothing depends on them.
    closed: () => process.kill(process.pid, 'SIGKILL'),
  })
}

async function answerOf(job: TokenizerJob): Promise<TokenizerAnswer> {
  try {
    const { encode, decode } = await importTokenizers()
    if (job.kind === 'encode') return { kind: 'encoded', texts: await encode(job.request) }
    return { kind: 'decoded', texts: await decode(job.request) }
  } catch (error) {
    if (error instanceof TokenizerFailure) return { kind: 'failed', failure: error }
    throw error
  }
}

/** Imported late, so that what keeps it from loading is a reason that reaches the server. */
async function importTokenizers(): Promise<typeof import('./tokenizers.ts')> {
  try {
    return await import('./tokenizers.ts')
  } catch {
    throw new TokenizerFailure('unreadable', 'the library `tokenizers` does not load on this system')
  }
}
