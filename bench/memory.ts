import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../src/jose/sign.ts'
import {
  type Attack,
  bombs,
  sizedModel,
  slowReaders,
  sockets,
  stalledUploads,
  type Victim,
} from '../test/support/memory-attacks.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { reportTable } from './harness/report.ts'
import { type LoadResult, putLoad } from './load/load.ts'
import { SECRET } from './servers/plan.ts'

export interface MemorySizes {
  /** Pairs of a calm time and one under attack, of each attack. */
  readonly rounds: number
  /** One of them takes this long. */
  readonly seconds: number
}

const ROOT = process.env.VESTAL_BENCH_ROOT ?? join(import.meta.dir, '..')
const MIB = 2 ** 20
const ATTACKS: readonly (readonly [what: string, begin: (victim: Victim) => Attack])[] = [
  ['40 gzip bodies of 64 KB that expand to 63 MiB, again and again', (victim) => bombs(victim, 40)],
  ['16 uploads that stall at 59 of 60 MiB', (victim) => stalledUploads(victim, { count: 16, mebibytes: 60 })],
  ['200 clients that do not read answers of 8 MB', (victim) => slowReaders(victim, { count: 200, answerBytes: 8_000_000 })],
  ['500 idle WebSockets', (victim) => sockets(victim, { count: 500 })],
  [
    '500 WebSockets that stall at 1 000 000 bytes of a message',
    (victim) => sockets(victim, { count: 500, messageBytes: 1_000_000 }),
  ],
]

/** `bun run bench memory`: what attacks of one subject take of the server's memory, and of another subject's time. */
export async function benchMemory({ rounds, seconds }: MemorySizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const rows: string[][] = []
  for (const [what, begin] of ATTACKS) {
    const measured = await measure(begin, { rounds, seconds })
    const { peakMib, firstMib, calm, attacked, statuses } = measured
    const ratio = middle(attacked.map(({ p99Ms }) => p99Ms)) / middle(calm.map(({ p99Ms }) => p99Ms))
    const times = (results: readonly LoadResult[]) =>
      `${middle(results.map(({ p50Ms }) => p50Ms)).toFixed(2)}, ${middle(results.map(({ p99Ms }) => p99Ms)).toFixed(2)} ms`
    const failures = attacked.reduce((sum, { failures: each }) => sum + each, 0)
    rows.push([what, `${firstMib} → ${peakMib} MiB`, times(calm), times(attacked), ratio.toFixed(2), String(failures), statuses])
  }
  reportTable(
    {
      id: 'memory',
      title: 'Attacks on the memory of the server',
      text:
        'The server as `vestal start` starts it, with a new process for each attack. One subject attacks; another asks for predictions of one row of iris on four ' +
        'connections, before the attack and during it. The memory is the largest that the process has held (`VmHWM`).',
      head: [
        'attack of one subject',
        'memory',
        'p50, p99 of the other before',
        'during',
        '× p99',
        'failures of the other',
        'answers to the attack',
      ],
      rows,
    },
    { machine: describeMachine(), isKept },
  )
}

async function measure(begin: (victim: Victim) => Attack, { rounds, seconds }: MemorySizes) {
  const server = await start()
  try {
    const token = (sub: string) =>
      `Bearer ${signJwt({ sub, data: { permissions: ['model:*:predict'] } }, SECRET, { lifetimeSeconds: 3600 })}`
    const headers = { authorization: token('bob'), 'content-type': 'application/json' }
    const target = {
      url: `http://127.0.0.1:${server.port}/models/iris/predict/`,
      method: 'POST',
      headers,
      body: '{"input":[[5.1,3.5,1.4,0.2]]}',
    } as const
    const load = (during: number) => putLoad(target, { seconds: during, connections: 4, isPinned: false })
    await load(1)
    const firstMib = server.peakMib()
    const calm: LoadResult[] = []
    const attacked: LoadResult[] = []
    const counts = new Map<number, number>()
    for (let round = 0; round < rounds; round += 1) {
      calm.push(await load(seconds))
      const loaded = load(seconds)
      await keepUp(() => begin({ port: server.port, authorization: token('mallory') }), loaded, counts)
      attacked.push(await loaded)
    }
    const statuses = [...counts].sort().map(([status, count]) => `${status === 0 ? 'none' : status}: ${count}`)
    return { firstMib, peakMib: server.peakMib(), calm, attacked, statuses: statuses.join(', ') }
  } finally {
    await server.stop()
  }
}

/** Attacks until the load is done: what is held stays, and where nothing is held the attack begins again. */
async function keepUp(begin: () => Attack, loaded: Promise<unknown>, counts: Map<number, number>): Promise<void> {
  let isOver = false
  const over = loaded.then(() => {
    isOver = true
  })
  while (!isOver) {
    const attack = begin()
    await Promise.race([attack.isUnderWay, over])
    const statuses = attack.statuses()
    const isHeld = statuses.some((status) => status === 0 || status === 101 || status === 200)
    if (isHeld) await over
    for (const status of attack.statuses()) counts.set(status, (counts.get(status) ?? 0) + 1)
    attack.stop()
  }
}

async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-memory-'))
  await Bun.write(join(folder, 'models/sized/1/model.onnx'), sizedModel())
  await Bun.write(join(folder, 'models/iris/1/model.onnx'), Bun.file(join(ROOT, 'models/iris/1/model.onnx')))
  const child = Bun.spawn(
    [process.execPath, join(ROOT, 'src/cli/main.ts'), 'start', '--port', '0', '--models', join(folder, 'models')],
    {
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        VESTAL_SECRET: SECRET,
        VESTAL_LOG_FORMAT: 'pretty',
        VESTAL_ACCESS_LOG: 'off',
      },
      stdout: 'pipe',
      stderr: 'inherit',
    },
  )
  let output = ''
  const reader = child.stdout.getReader()
  const decoder = new TextDecoder()
  for (let chunk = await reader.read(); chunk.value !== undefined; chunk = await reader.read()) {
    output += decoder.decode(chunk.value, { stream: true })
    const port = Number(/listens on http:\/\/[^\s,:]+:(\d+)/.exec(output)?.[1] ?? 0)
    if (port === 0) continue
    void drain(reader)
    const status = `/proc/${child.pid}/status`
    return {
      port,
      /** The most that it has held since the last call. */
      peakMib: () => {
        const peak = Math.round((Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1] ?? 0) * 1024) / MIB)
        writeFileSync(`/proc/${child.pid}/clear_refs`, '5')
        return peak
      },
      stop: async () => {
        child.kill('SIGKILL')
        await child.exited
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
  throw new Error(`the server did not start: ${output}`)
}

async function drain(reader: { read(): Promise<{ readonly done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
