/** A media process that does what the "picture" of a job says, in place of decoding it. */
import { writeSync } from 'node:fs'
import { ExchangeFile } from '../../src/processes/exchange.ts'
import { JOBS_FILE, SOCKET } from '../../src/processes/job-pool.ts'
import { openMessageSocket } from '../../src/processes/message-socket.ts'
import { restrictProcess } from '../../src/processes/restrict.ts'
import { answerFrame, readJob } from '../../src/tasks/media/messages.ts'

restrictProcess()
const jobs = new ExchangeFile(JOBS_FILE)
/** A tensor that is where `place` says, and a place for it. */
const answerAt = (place: number) => {
  const placement = { width: 1, height: 1, scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0, inputWidth: 1, inputHeight: 1 }
  const tensor = { datatype: 'UINT8', shape: [64], data: new Uint8Array(64) } as const
  const { kind, write } = answerFrame({ kind: 'picture', prepared: { tensor, placement } })
  socket.send(kind, (buffer) => write(buffer, () => place))
}
const socket = openMessageSocket(SOCKET, {
  frame(cursor) {
    const job = readJob(cursor, jobs.readBytes)
    const asked = job.kind === 'picture' ? new TextDecoder().decode(job.picture) : ''
    const tell = (reason: string) => {
      const { kind, write } = answerFrame({ kind: 'rejected', reason })
      socket.send(kind, (buffer) => write(buffer, () => undefined))
    }
    if (asked === 'crash') process.kill(process.pid, 'SIGSEGV')
    else if (asked === 'exit') process.exit(3)
    else if (asked === 'garbage') socket.send(77, (buffer) => buffer.text('what'))
    else if (asked === 'long') writeSync(SOCKET, new Uint8Array([1, 0, 0, 0x20]))
    else if (asked === 'twice') for (const each of ['first', 'second']) tell(each)
    else if (asked === 'take') void new Uint8Array(600 * 2 ** 20).fill(1)
    else if (asked === 'environment') tell(Object.keys(process.env).join())
    else if (asked === 'outside') answerAt(2 ** 40)
    else if (asked.startsWith('long picture')) tell(`has ${asked.length} bytes`)
    else if (asked === 'pid') tell(String(process.pid))
    // What else is asked has no answer.
  },
  closed: () => process.kill(process.pid, 'SIGKILL'),
})
