import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificate } from '../support/certificates.ts'
import { Workplace } from '../support/command-line.ts'
import { openLive } from '../support/live-socket.ts'
import { HAS_PROCESSES, isRunning, until } from '../support/processes.ts'
import { OPERATOR, OWN, Several } from '../support/several.ts'
import { bearer } from '../support/tokens.ts'

const SERVED = { ...OWN, VESTAL_LOAD_MODEL: 'iris' }
const COUNT = ['--processes', '2']
/** Processes start while all processors are busy. */
const TEST_MS = 120_000
const headers = bearer('model:iris:predict')
const ROW = '[5.1,3.5,1.4,0.2]'
const ONE = `{"input":[${ROW}]}`
const GOING = { code: 1001, reason: 'the server is going away' }
/** Connections that are spread over two processes: all of them are with one in one of 2^15 cases. */
const SOCKETS = 16

const open = (base: string) =>
  openLive(`${base.replace('http', 'ws')}/models/iris/live`, { headers, tls: { rejectUnauthorized: false } })
const openAll = (base: string) => Promise.all(Array.from({ length: SOCKETS }, () => open(base)))
type Live = Awaited<ReturnType<typeof open>>
const answers = async (sockets: readonly Live[]) => {
  for (const { ask } of sockets) expect(await ask(ONE)).toContain('"output"')
}

/** A stream of rows that has sent its first. */
async function openStream(base: string) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  // Where the answer has ended, nobody reads what is sent.
  const send = () => writer.write(Buffer.from(`${ROW}\n`)).catch(() => undefined)
  void send()
  const response = await fetch(`${base}/models/iris/stream/`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-ndjson' },
    body: readable,
    keepalive: false,
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  return { send, end: () => writer.close(), read: async () => (await reader?.read())?.value }
}

/** Asks again and again until it is stopped; gives what was not answered. */
function startLoad(several: Several, keepalive: boolean) {
  const failures: string[] = []
  let answered = 0
  let isOver = false
  const loops = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      try {
        const response = await several.fetch('/models/iris/predict/', { method: 'POST', headers, body: ONE, keepalive })
        const text = await response.text()
        if (response.status === 200 && text.includes('output')) answered += 1
        else failures.push(`${response.status} ${text}`)
      } catch (error) {
        failures.push(String(error))
      }
    }
  })
  return {
    more: (count: number) => {
      const enough = answered + count
      return until(() => answered >= enough)
    },
    stop: async () => {
      isOver = true
      await Promise.all(loops)
      return failures
    },
  }
}

async function roll(several: Several): Promise<void> {
  const before = [...several.httpProcesses.values()]
  several.server.child.kill('SIGHUP')
  await until(async () => !before.some(isRunning) && (await several.serving()) === 2)
}

describe.skipIf(!HAS_PROCESSES)('connections, while each process is replaced', () => {
  test(
    'with TLS every request is answered, by the new certificate at the end, and sockets are reported to come again',
    async () => {
      const files = new Workplace()
      const [cert, key] = [join(files.folder, 'cert.pem'), join(files.folder, 'key.pem')]
      const write = () => {
        const made = makeCertificate()
        writeFileSync(cert, made.cert)
        writeFileSync(key, made.key, { mode: 0o600 })
        return made.cert
      }
      write()
      await using several = await Several.start([...COUNT, '--tls-cert', cert, '--tls-key', key], '', SERVED)
      const loads = [startLoad(several, false), startLoad(several, true)]
      const sockets = await openAll(several.server.base)
      await answers(sockets)
      const ca = write()
      await roll(several)
      await Promise.all(loads.map(({ more }) => more(50)))
      expect((await Promise.all(loads.map(({ stop }) => stop()))).flat()).toEqual([])
      for (const { next } of sockets) expect(await next()).toEqual(GOING)
      const again = await openAll(several.server.base)
      await answers(again)
      const trusting = await fetch(`${several.server.base}/public/info/`, { keepalive: false, tls: { ca } })
      expect(trusting.status).toBe(200)
      expect((await several.stop()).code).toBe(0)
      for (const { next } of again) expect(await next()).toEqual(GOING)
      files[Symbol.dispose]()
    },
    TEST_MS,
  )

  test(
    'stay open where settings are only read again; a process that is killed takes its own with it, and no other',
    async () => {
      await using several = await Several.start(COUNT, '', SERVED)
      const sockets = await openAll(several.server.base)
      const ends: number[] = []
      for (const { socket } of sockets) socket.addEventListener('close', ({ code }) => void ends.push(code))
      const reloaded = await several.fetch('/admin/reload', { method: 'POST', headers: OPERATOR })
      expect(reloaded.status).toBe(200)
      await answers(sockets)
      const killed = several.httpProcesses.get(1) ?? 0
      process.kill(killed, 'SIGKILL')
      await until(async () => !isRunning(killed) && (await several.serving()) === 2)
      await until(() => sockets.filter(({ socket }) => socket.readyState !== WebSocket.OPEN).length === ends.length)
      expect(ends.filter((code) => code !== 1006)).toEqual([])
      expect(ends.length).toBeGreaterThan(0)
      expect(ends.length).toBeLessThan(SOCKETS)
      await answers(sockets.filter(({ socket }) => socket.readyState === WebSocket.OPEN))
      // One of them accepts, or has accepted, at two places.
      await answers(await openAll(several.server.base))
    },
    TEST_MS,
  )

  test(
    'streams of rows that have begun are finished by the process that has them',
    async () => {
      await using several = await Several.start(COUNT, '', SERVED)
      const streams = await Promise.all(Array.from({ length: SOCKETS }, () => openStream(several.server.base)))
      for (const { read } of streams) expect(await read()).toStartWith('{"row":0,"output"')
      const before = [...several.httpProcesses.values()]
      several.server.child.kill('SIGHUP')
      await until(async () => ((await several.metric('vestal_processes', '{state="draining"}')) ?? 0) > 0)
      for (const { send, read, end } of streams) {
        void send()
        expect(await read()).toStartWith('{"row":1,"output"')
        await end()
        expect(await read()).toBeUndefined()
      }
      await until(async () => !before.some(isRunning) && (await several.serving()) === 2)
    },
    TEST_MS,
  )
})

describe('connections of one process that is being stopped', () => {
  test(
    'end so that a client can tell: sockets go away, a stream that is not over says so, and the process ends with 0',
    async () => {
      using place = new Workplace()
      const { base, child } = await place.start(['--shutdown-seconds', '60'], SERVED)
      const { ask, next } = await open(base)
      expect(await ask(ONE)).toContain('"output"')
      const { read } = await openStream(base)
      expect(await read()).toStartWith('{"row":0,"output"')
      child.kill('SIGTERM')
      expect(await next()).toEqual(GOING)
      expect(await read()).toStartWith('{"row":1,"status_code":503')
      expect(await read()).toBeUndefined()
      expect(await child.exited).toBe(0)
    },
    TEST_MS,
  )
})
