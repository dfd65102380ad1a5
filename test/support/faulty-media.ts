/** A media process that does what the "picture" of a job says, in place of decoding it. */
import { writeSync } from 'node:fs'
import { openMessageSocket } from '../../src/processes/message-socket.ts'
import { restrictProcess } from '../../src/processes/restrict.ts'
import { answerFrame, readJob } from '../../src/tasks/media/messages.ts'

restrictProcess()
const socket = openMessageSocket(3, {
  frame(cursor) {
    const job = readJob(cursor)
    const asked = job.kind === 'picture' ? new TextDecoder().decode(job.picture) : ''
    const tell = (reason: string) => {
      const { kind, write } = answerFrame({ kind: 'rejected', reason })
      socket.send(kind, write)
    }
    if (asked === 'crash') process.kill(process.pid, 'SIGSEGV')
    else if (asked === 'exit') process.exit(3)
    else if (asked === 'garbage') socket.send(77, (buffer) => buffer.text('what'))
    else if (asked === 'long') writeSync(3, new Uint8Array([1, 0, 0, 0x20]))
    else if (asked === 'twice') for (const each of ['first', 'second']) tell(each)
    else if (asked === 'take') void new Uint8Array(600 * 2 ** 20).fill(1)
    else if (asked === 'environment') tell(Object.keys(process.env).join())
    else if (asked === 'pid') tell(String(process.pid))
    // What else is asked has no answer.
  },
  closed: () => process.kill(process.pid, 'SIGKILL'),
})
