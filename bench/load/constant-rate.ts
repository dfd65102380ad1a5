/**
 * An open loop: requests at a constant rate on a number of connections, run by `load.ts` as a process of its own. Those of a
 * millisecond are due together at its end. Where no connection is free a request waits, and its time counts from when it was due,
 * so that a server that stops for a while pays for all that came meanwhile.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { distributionOf, type Load, resultOf, type Target } from './load.ts'
import { responseReader } from './response-reader.ts'

/** Answers that come later than this after the end count as failures. */
const GRACE_MS = 30_000

const { target, load, bodyFile } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly target: Target
  readonly load: Load & { readonly requestsPerSecond: number }
  readonly bodyFile?: string
}
const { hostname, port, pathname } = new URL(target.url)
const request = requestOf(bodyFile === undefined ? Buffer.alloc(0) : readFileSync(bodyFile))
const total = Math.floor(load.seconds * load.requestsPerSecond)
const durations: number[] = []
const idle: Connection[] = []
let [due, failures, begun] = [0, 0, 0]
/** Requests that were due and have no connection yet, by their number: the first is the oldest. */
let next = 0

interface Connection {
  readonly socket: Socket
  /** When the request that it has was due; none where it is idle. */
  dueMs: number | undefined
}

function requestOf(body: Buffer): Buffer {
  const headers = {
    host: `${hostname}:${port}`,
    ...target.headers,
    ...(body.length > 0 && { 'content-length': String(body.length) }),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${target.method} ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`), body])
}

/** The end of the millisecond in which a request falls. */
const dueOf = (index: number) => begun + Math.ceil((index * 1000) / load.requestsPerSecond)

function send(): void {
  while (next < due) {
    const connection = idle.pop()
    if (connection === undefined) return
    connection.dueMs = dueOf(next)
    next += 1
    connection.socket.write(request)
  }
}

function open(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  const connection: Connection = { socket, dueMs: undefined }
  const read = responseReader((status) => {
    if (connection.dueMs === undefined) return
    durations.push(performance.now() - connection.dueMs)
    if (status >= 400) failures += 1
    connection.dueMs = undefined
    idle.push(connection)
    send()
  })
  socket.on('data', read)
  socket.on('connect', () => {
    idle.push(connection)
    resolve()
  })
  socket.on('error', reject)
  return promise
}

await Promise.all(Array.from({ length: load.connections }, open))
begun = Math.ceil(performance.now()) + 1
const { promise: isOver, resolve: end } = Promise.withResolvers<void>()
const timer = setInterval(() => {
  const now = performance.now()
  while (due < total && dueOf(due) <= now) due += 1
  send()
  if (durations.length === total || now > begun + load.seconds * 1000 + GRACE_MS) end()
}, 1)
await isOver
clearInterval(timer)
const seconds = (performance.now() - begun) / 1000
// What has no answer by now failed.
const counts = { requests: total, requestsPerSecond: durations.length / seconds, failures: failures + total - durations.length }
console.log(JSON.stringify(resultOf(counts, distributionOf(durations))))
process.exit(0)
