import { describe, expect, test } from 'bun:test'
import { CodeHost } from '../../../../src/inference/code/code-host.ts'
import { CodeLog } from '../../../../src/inference/code/code-log.ts'
import { CodeSession } from '../../../../src/inference/code/code-session.ts'
import { readFromCode } from '../../../../src/inference/code/from-code.ts'
import { HandClock } from '../../../support/hand-clock.ts'
import { BUNDLE, HandCodeProcess, MODEL, settled } from '../../../support/hand-code-process.ts'

const FACTS = { files: {}, labels: {} }

function house({ hangMs = 1000, memoryBytesMax = 2 * 2 ** 20, loadMsMax = 5000 } = {}) {
  const clock = new HandClock()
  const processes: HandCodeProcess[] = []
  const log: string[] = []
  const notes: unknown[] = []
  const served: unknown[] = []
  const last = () => processes.at(-1) ?? expect.unreachable()
  const open = (on: Partial<ConstructorParameters<typeof CodeSession>[0]> = {}) =>
    new CodeSession({
      clock,
      hangMs,
      memoryBytesMax,
      served: ({ header }) => void served.push(header),
      log: (text) => void log.push(text),
      ended: (end) => void notes.push(end),
      startProcess: (events) => {
        const started = new HandCodeProcess(events)
        processes.push(started)
        return started
      },
      ...on,
    })
  const host = new CodeHost({
    clock,
    startSession: open,
    loadMsMax,
    served: ({ header }) => void served.push(header),
    ready: () => void notes.push('ready'),
    lost: ({ cause, delayMs, inARow }) => void notes.push([cause, delayMs, inARow]),
    changed: () => void notes.push(['trouble', host.trouble]),
    warn: (message) => void notes.push(message),
  })
  /** The process that was started last is loaded, and serves. */
  const start = async () => {
    const loading = host.load('/models/x/1/model.ts', () => undefined)
    last().answer({ kind: 'bundled', bundle: BUNDLE, sources: [] }, 'code')
    await settled()
    last().answer({ kind: 'described', model: MODEL })
    await loading
    const starting = host.start(FACTS)
    last().answer({ kind: 'ready' })
    await starting
  }
  /** The next process is loaded with what is there already. */
  const startAgain = async () => {
    last().answer({ kind: 'described', model: MODEL })
    await settled()
    last().answer({ kind: 'ready' })
    await settled()
  }
  return { clock, processes, last, log, notes, served, host, open, start, startAgain }
}

describe('a code process', () => {
  test('is bundled, checked, loaded and started, and serves then', async () => {
    const { host, last, notes } = house()
    const checked: unknown[] = []
    const loading = host.load('/models/x/1/model.ts', (sources) => void checked.push(sources))
    expect(last().kinds()).toEqual(['bundle'])
    last().answer({ kind: 'bundled', bundle: BUNDLE, sources: ['a.ts'] }, 'code')
    await settled()
    expect([checked, last().sent.at(-1)]).toEqual([[['a.ts']], { kind: 'load', bundle: BUNDLE, with: 'code' }])
    last().answer({ kind: 'described', model: MODEL })
    expect(await loading).toEqual(MODEL)
    const starting = host.start(FACTS)
    expect([host.isReady, last().sent.at(-1)]).toEqual([false, { kind: 'start', ...FACTS }])
    last().answer({ kind: 'ready' })
    await starting
    expect([host.isReady, notes]).toEqual([true, ['ready']])
  })

  test('whose files are rejected is not loaded', async () => {
    const { host, last } = house()
    const loading = host.load('/models/x/1/model.ts', () => {
      throw new Error('not these')
    })
    last().answer({ kind: 'bundled', bundle: BUNDLE, sources: [] }, 'code')
    expect(loading).rejects.toThrow('not these')
    expect(last().kinds()).toEqual(['bundle'])
  })

  test('that refuses says why, in at most 4000 characters; one that ends says that it did', async () => {
    const { open, last } = house()
    const refused = open().bundle('/x')
    last().answer({ kind: 'rejected', reason: 'x'.repeat(5000) })
    expect(await refused.catch(({ message }) => message)).toBe('x'.repeat(4000))
    const session = open()
    const ended = session.bundle('/x')
    last().end('SIGSEGV')
    expect(ended).rejects.toThrow('SIGSEGV')
    expect(session.load({ text: '', facts: BUNDLE })).rejects.toThrow()
    const before = last().sent.length
    session.send({ kind: 'ping', number: 9 })
    expect(last().sent).toHaveLength(before)
  })

  test('is killed where loading takes too long, and not after that', async () => {
    const { host, clock, last, start } = house({ loadMsMax: 5000, hangMs: 1e9 })
    const loading = host.load('/x', () => undefined)
    clock.pass(4999)
    expect(last().killed).toEqual([])
    clock.pass(1)
    expect(last().killed).toEqual([['load limit', 'loading took more than 5 s']])
    last().end()
    expect(loading).rejects.toThrow()
    const other = house({ loadMsMax: 5000, hangMs: 1e9 })
    await other.start()
    other.clock.pass(20_000)
    expect(other.last().killed).toEqual([])
    void start
  })

  test('may say only what it was asked for', async () => {
    const { open, last, served, log, host, start } = house()
    const session = open()
    expect(() => last().answer({ kind: 'ready' })).toThrow('the protocol was broken: "ready" was not asked for')
    const loading = session.load({ text: '', facts: BUNDLE })
    expect(() => last().answer({ kind: 'bundled', bundle: BUNDLE, sources: [] })).toThrow('"bundled" was not asked for')
    expect(() => last().answer({ kind: 'answer', id: 1, isLast: true, isEmpty: false })).toThrow('an answer before it serves')
    expect(() => last().answer({ kind: 'failed', id: 1, failure: { kind: 'bug', text: '' } })).toThrow(
      'an answer before it serves',
    )
    last().answer({ kind: 'log', text: 'hello', isError: false })
    last().answer({ kind: 'run', id: 1, ask: 1, file: 'm' })
    last().answer({ kind: 'described', model: MODEL })
    await loading
    expect([log, served]).toEqual([['hello'], [{ kind: 'run', id: 1, ask: 1, file: 'm' }]])
    await start()
    last().answer({ kind: 'answer', id: 2, isLast: true, isEmpty: false })
    expect([served.length, host.isReady]).toEqual([2, true])
  })
})

describe('a code process that serves', () => {
  test('and ends is replaced with what was bundled before, later each time in a row', async () => {
    const { host, clock, last, notes, processes, start, startAgain } = house()
    await start()
    const delays: number[] = []
    for (let loss = 1; loss <= 8; loss += 1) {
      notes.length = 0
      last().end()
      const [[cause, delayMs, inARow] = []] = notes as [string, number, number][]
      expect([cause, inARow, host.isReady]).toEqual(['exit code 1', loss, false])
      delays.push(delayMs ?? 0)
      const count = processes.length
      clock.pass((delayMs ?? 0) - 1)
      expect(processes).toHaveLength(count)
      clock.pass(1)
      expect([processes.length, last().kinds()]).toEqual([count + 1, ['load']])
      if (loss < 8) await startAgain()
    }
    expect(delays).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000])
    expect(host.trouble).toMatch(/8 times in a row \(exit code 1\)/)
    await startAgain()
    expect([host.isReady, host.trouble, notes.at(-1)]).toEqual([true, undefined, 'ready'])
  })

  test('begins the count anew with an answer, and after ten seconds', async () => {
    const { host, clock, last, notes, start, startAgain } = house({ hangMs: 1e9 })
    const lose = async () => {
      last().end()
      const [, delayMs = 0, inARow] = notes.findLast((note) => Array.isArray(note) && note.length === 3) as [
        string,
        number,
        number,
      ]
      clock.pass(delayMs)
      await startAgain()
      return inARow
    }
    await start()
    expect([await lose(), await lose()]).toEqual([1, 2])
    host.answered()
    expect([await lose(), await lose()]).toEqual([1, 2])
    clock.pass(10_000)
    expect(await lose()).toBe(3)
    clock.pass(10_001)
    expect(await lose()).toBe(1)
  })

  test('and cannot be started again is tried later, and says why meanwhile', async () => {
    const { host, clock, last, notes, processes, start, startAgain } = house()
    await start()
    last().end()
    clock.pass(50)
    last().answer({ kind: 'rejected', reason: 'its data is gone' })
    await settled()
    expect([host.trouble, last().killed]).toEqual(['its data is gone', [['stopped', 'it could not be started']]])
    expect(notes).toContainEqual(expect.stringMatching(/: its data is gone$/))
    const count = processes.length
    clock.pass(99)
    expect(processes).toHaveLength(count)
    clock.pass(1)
    expect(processes).toHaveLength(count + 1)
    await startAgain()
    expect(host.isReady).toBe(true)
  })

  test('is ended with its model, and no other is started', async () => {
    const { host, clock, last, notes, processes, start } = house()
    await start()
    const stopping = host.stop()
    expect([host.isReady, last().killed]).toEqual([false, [['stopped', 'the model was stopped']]])
    notes.length = 0
    last().end('SIGKILL')
    await stopping
    clock.pass(60_000)
    expect([processes.length, notes, clock.timers]).toEqual([1, [], 0])
    expect(host.start(FACTS)).rejects.toThrow('the model was stopped')
  })

  test('and ended while it waited to be started again stays away once its model is stopped', async () => {
    const { host, clock, last, processes, start } = house()
    await start()
    last().end()
    await host.stop()
    clock.pass(60_000)
    expect([processes.length, clock.timers]).toEqual([1, 0])
  })
})

describe('a code process is looked after', () => {
  test('by pings, often while it works or is loaded, and seldom otherwise', async () => {
    const { clock, last, start, host } = house()
    const pings = () => last().sent.filter(({ kind }) => kind === 'ping').length
    await start()
    last().pong()
    clock.pass(100)
    last().pong()
    const before = pings()
    clock.pass(1999)
    expect(pings()).toBe(before)
    clock.pass(1)
    expect(pings()).toBe(before + 1)
    last().pong()
    host.work = 1
    expect(pings()).toBe(before + 2)
    last().pong()
    clock.pass(100)
    expect(pings()).toBe(before + 3)
    host.work = 2
    expect(pings()).toBe(before + 3)
  })

  test('and killed where it computes without an answer for as long as is allowed, ten times as long while it is loaded', async () => {
    const hung = async (isServing: boolean, busyShare: number) => {
      const { host, clock, last, start } = house({ hangMs: 1000, loadMsMax: 1e9 })
      if (isServing) await start()
      else void host.load('/x', () => undefined).catch(() => undefined)
      host.work = 1
      if (isServing) last().pong()
      clock.pass(100)
      const began = clock.now()
      for (let ms = 0; ms < 200_000 && last().killed.length === 0; ms += 100) {
        last().usedMs = (clock.now() + 100 - began) * busyShare
        clock.pass(100)
      }
      return [clock.now() - began, last().killed[0]?.[0]]
    }
    expect(await hung(true, 1)).toEqual([1000, 'hang'])
    expect(await hung(false, 1)).toEqual([9900, 'hang'])
    // One that gets no time of a processor has ten times as long.
    expect(await hung(true, 0.04)).toEqual([10_000, 'hang'])
  })

  test('not by a server that was late itself', async () => {
    const { host, clock, last, start } = house({ hangMs: 1000 })
    await start()
    last().pong()
    host.work = 1
    last().usedMs = 1e6
    clock.pass(100)
    clock.skip(5000)
    clock.pass(1)
    expect(last().killed).toEqual([])
    last().pong()
    clock.pass(1000)
    expect(last().killed).toEqual([])
  })

  test('and killed for memory over its limit', async () => {
    const { clock, last, start } = house({ memoryBytesMax: 2 * 2 ** 20, hangMs: 1e9 })
    await start()
    last().bytes = 2 * 2 ** 20
    clock.pass(5000)
    last().bytes = undefined
    clock.pass(5000)
    expect(last().killed).toEqual([])
    last().bytes = 3 * 2 ** 20
    clock.pass(2000)
    expect(last().killed[0]).toEqual(['memory limit', 'it held 3 MiB of memory, more than 2 MiB'])
  })
})

describe('the console of code', () => {
  test('has fifty lines at once and five a second later, and says how many were dropped', () => {
    const clock = new HandClock()
    const lines: string[] = []
    const log = new CodeLog(clock, (line) => void lines.push(line))
    for (let line = 0; line < 60; line += 1) log.line(`${line}`)
    expect([lines.length, lines.at(-1), log.last]).toEqual([50, '49', '59'])
    clock.pass(199)
    log.line('early')
    expect(lines).toHaveLength(50)
    clock.pass(1)
    log.line('a')
    expect(lines.at(-1)).toBe('a (11 lines before it were dropped)')
    clock.pass(1000)
    for (let line = 0; line < 6; line += 1) log.line('b')
    expect(lines.slice(51)).toEqual(['b', 'b', 'b', 'b', 'b'])
    clock.pass(1_000_000)
    for (let line = 0; line < 51; line += 1) log.line('x'.repeat(3000))
    expect([lines.length, lines[56], lines.at(-1)?.length]).toEqual([
      106,
      `${'x'.repeat(2000)} (1 lines before it were dropped)`,
      2000,
    ])
  })
})

describe('what a code process says', () => {
  const described = (model: object) => () => readFromCode({ kind: 'described', model: { ...MODEL, ...model } })
  const value = (more: object) => ({ form: 'json', schema: {}, ...more })

  test('is taken where it is whole', () => {
    expect(described({})()).toMatchObject({ kind: 'described' })
    expect(described({ input: value({ form: 'tensor', tensor: { datatype: 'FP32', shape: [-1, 2] } }) })).not.toThrow()
    expect(described({ batch: { rows: 65_536, delayMs: 0 }, limits: { ms: 1, atOnce: 1024 } })).not.toThrow()
    expect(described({ calls: Array(64).fill('m') })).not.toThrow()
    expect(
      readFromCode({ kind: 'failed', id: 0, failure: { kind: 'refusal', status: 499, text: 'x'.repeat(4000) } }),
    ).toBeDefined()
  })

  test('is rejected where it is not, or larger than such things are', () => {
    for (const message of [
      null,
      'ready',
      {},
      { kind: 'constructor' },
      { kind: 'pong', number: -1 },
      { kind: 'pong', number: 0.5 },
      { kind: 'log', text: 'x'.repeat(4001), isError: true },
      { kind: 'failed', id: 1, failure: { kind: 'refusal', status: 500, text: '' } },
      { kind: 'failed', id: 1, failure: { kind: 'refusal', status: 399, text: '' } },
      { kind: 'run', id: 1, ask: 1, file: '' },
      { kind: 'tokenizer', id: 1, ask: 1, action: 'train' },
      { kind: 'bundled', bundle: BUNDLE, sources: Array(10_001).fill('') },
    ])
      expect(() => readFromCode(message)).toThrow('the protocol was broken: a message of the kind')
    for (const model of [
      { batch: { rows: 0 } },
      { batch: { rows: 65_537 } },
      { limits: { atOnce: 1025 } },
      { limits: { ms: 0 } },
      { calls: Array(65).fill('m') },
    ])
      expect(described(model)).toThrow('that is not whole')
    for (const input of [
      value({ form: 'tensor' }),
      value({ form: 'image' }),
      value({ form: 'text', tensor: { datatype: 'FP32', shape: [] } }),
    ])
      expect(described({ input })).toThrow('the protocol was broken: a tensor without its shape')
    expect(described({ description: 'x'.repeat(1024 * 1024) })).toThrow('its definition has more than 1048576 characters')
    expect(described({ description: 'x'.repeat(1024 * 1024 - JSON.stringify(MODEL).length) })).not.toThrow()
  })
})
