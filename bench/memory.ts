import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../src/jose/sign.ts'
import { processorMsOf } from '../src/processes/child.ts'
import { sizedModel } from '../test/support/memory-attacks.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { reportTable } from './harness/report.ts'
import { ATTACKS, type AttackOrder, type AttackOutcome } from './load/attacks.ts'
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
/** What a network of 1 Gbit a second lets through. */
const BYTES_PER_SECOND = 125_000_000
/** Takes only what no other process wants of the processors, where the system can do that: an attacker is on another machine. */
const IDLE = Bun.which('chrt') === null ? [] : ['chrt', '--idle', '0']

/** `bun run bench memory`: what attacks of one subject take of the server's memory, and of another subject's time. */
export async function benchMemory({ rounds, seconds }: MemorySizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const rows: string[][] = []
  for (const what of Object.keys(ATTACKS)) {
    const { peakMib, firstMib, calm, attacked, statuses, shares } = await measure(what, { rounds, seconds })
    const of = (results: readonly LoadResult[], key: 'p50Ms' | 'p99Ms' | 'p999Ms') => middle(results.map((result) => result[key]))
    const times = (results: readonly LoadResult[]) =>
      `${(['p50Ms', 'p99Ms', 'p999Ms'] as const).map((key) => of(results, key).toFixed(2)).join(', ')} ms`
    const ratio = (key: 'p99Ms' | 'p999Ms') => (of(attacked, key) / of(calm, key)).toFixed(2)
    const failures = attacked.reduce((sum, { failures: each }) => sum + each, 0)
    const samples = middle(attacked.map(({ requests }) => requests))
    rows.push([
      what,
      `${firstMib} → ${peakMib} MiB`,
      times(calm),
      `${times(attacked)} of ${samples}`,
      `${ratio('p99Ms')}, ${ratio('p999Ms')}`,
      shares,
      String(failures),
      statuses,
    ])
  }
  reportTable(
    {
      id: 'memory',
      title: 'Attacks on the memory of the server',
      text:
        'The server as `vestal start` starts it, with a new process for each attack. One subject attacks; another asks for predictions of one row of iris on four ' +
        'connections, before the attack and during it; wrk counts a pause for each request that would have been sent meanwhile. The attack begins with each round, so its beginning is in the ' +
        'figures. It comes from a process of its own which, since it would be on another machine, gets processor time that nobody else wants (`chrt --idle`) and sends at most 1 Gbit a second; the ' +
        'load, the server and its workers share the cores. The memory is the largest that the process has held (`VmHWM`).',
      head: [
        'attack of one subject',
        'memory',
        'p50, p99, p99.9 of the other before',
        'during',
        '× p99, p99.9',
        'processor of the attacker; of the server before, during',
        'failures of the other',
        'answers to the attack',
      ],
      rows,
    },
    { machine: describeMachine(), isKept },
  )
}

async function measure(attack: string, { rounds, seconds }: MemorySizes) {
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
    const used = { attacker: 0, before: 0, during: 0 }
    const victim = { port: server.port, authorization: token('mallory'), bytesPerSecond: BYTES_PER_SECOND }
    for (let round = 0; round < rounds; round += 1) {
      const [atFirst, result] = [server.processorMs(), await load(seconds)]
      calm.push(result)
      used.before += server.processorMs() - atFirst
      const attacker = await startAttack({ attack, victim })
      const atBegin = server.processorMs()
      attacked.push(await load(seconds))
      used.during += server.processorMs() - atBegin
      used.attacker += attacker.processorMs()
      for (const [status, count] of await attacker.stop()) counts.set(status, (counts.get(status) ?? 0) + count)
    }
    const statuses = [...counts].sort().map(([status, count]) => `${status === 0 ? 'none' : status}: ${count}`)
    const share = (ms: number) => `${(ms / (rounds * seconds * 10)).toFixed(0)} %`
    const shares = `${share(used.attacker)}; ${share(used.before)}, ${share(used.during)} of a core`
    return { firstMib, peakMib: server.peakMib(), calm, attacked, statuses: statuses.join(', '), shares }
  } finally {
    await server.stop()
  }
}

async function startAttack(order: AttackOrder) {
  const command = [...IDLE, process.execPath, join(import.meta.dir, 'load/attacker.ts'), JSON.stringify(order)]
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'inherit' })
  const reader = child.stdout.getReader()
  await reader.read()
  return {
    processorMs: () => processorMsOf(child.pid) ?? Number.NaN,
    /** Ends it; gives what it was answered. */
    stop: async (): Promise<AttackOutcome> => {
      child.kill('SIGTERM')
      let output = ''
      for (let chunk = await reader.read(); chunk.value !== undefined; chunk = await reader.read())
        output += Buffer.from(chunk.value).toString()
      return JSON.parse(output) as AttackOutcome
    },
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
      processorMs: () => processorMsOf(child.pid) ?? Number.NaN,
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
