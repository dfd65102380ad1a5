import { describe, expect, test } from 'bun:test'
import { Keeper } from '../../../../src/server/cluster/keeper.ts'
import type { EngineState, MemberQuestion, ToMember } from '../../../../src/server/cluster/messages.ts'
import { Places } from '../../../../src/server/cluster/places.ts'
import { Supervisor } from '../../../../src/server/cluster/supervisor.ts'
import type { Logger } from '../../../../src/telemetry/log/logger.ts'
import { HandMember } from '../../../support/hand-member.ts'
import { HAS_PROCESSES } from '../../../support/processes.ts'
import { until } from '../../../support/until.ts'

const RIGHT = { kind: 'right', reloaded: { changed: [], needsRestart: [] } }

/** An engine process that takes all settings, and ends when it is told to. */
class HandEngine extends HandMember {
  override answer = async (what: MemberQuestion): Promise<unknown> => (what === 'prepare' ? RIGHT : null)
  restored: EngineState | undefined
  override tell(message: ToMember): void {
    if (message.kind === 'restore') this.restored = message.state
    super.tell(message)
    if (message.kind === 'stop') this.end(0)
  }
}

/** A supervisor whose processes do what a test says. */
class Hand implements Disposable {
  readonly members: HandMember[] = []
  readonly lines: string[] = []
  /** Says that a process was told to stop by somebody else, by the order in which they were started. */
  readonly leave: (() => void)[] = []
  /** What the system says instead of starting the next processes. */
  readonly refusals: Error[] = []
  readonly supervisor: Supervisor
  /** The engine processes that were started, and what says what requests have left in each. */
  readonly engines: HandEngine[] = []
  readonly journal: ((state: EngineState) => void)[] = []
  /** Says that a process hears what it is told, by the order in which they were started. */
  readonly joins: (() => void)[] = []
  /** Whether they come to serve by themselves. */
  areEnginesPrompt = true

  constructor({ count = 2 } = {}) {
    const say = (line: string) => void this.lines.push(line)
    this.supervisor = new Supervisor({
      count,
      address: { hostname: '127.0.0.1', port: 0 },
      scheme: 'http',
      ownMetrics: () => [],
      // The cast: this much of a logger is used.
      logger: { info: say, warn: say, error: say } as unknown as Logger,
      startMsMax: 60_000,
      stopMsMax: 60_000,
      drainMsMax: 60_000,
      startEngine: ({ joined, journal }) => {
        const engine = new HandEngine(0)
        this.engines.push(engine)
        this.joins.push(() => joined(engine))
        this.journal.push(journal)
        if (this.areEnginesPrompt) engine.beReady()
        return engine
      },
      startMember: (number, { leaving, joined }) => {
        const refusal = this.refusals.shift()
        if (refusal !== undefined) throw refusal
        const member = new HandMember(number)
        this.members.push(member)
        this.joins.push(() => joined(member))
        this.leave.push(() => {
          member.state = 'draining'
          leaving(member)
        })
        return member
      },
    })
  }

  /** The so-manyeth process that was started, once it is. */
  async member(index: number): Promise<HandMember> {
    await until(() => this.members.length > index)
    return this.members[index] as HandMember
  }

  /** The same, once it waits to be told where to listen and is. */
  async listening(index: number): Promise<HandMember> {
    const member = await this.member(index)
    member.beReady()
    await until(() => member.told.includes('listen'))
    return member
  }

  async serving(index: number): Promise<HandMember> {
    const member = await this.listening(index)
    member.serve()
    return member
  }

  /** Starts so many as there are places. */
  async start(): Promise<readonly HandMember[]> {
    const started = this.supervisor.start()
    const members = [await this.serving(0), await this.serving(1)]
    expect(await started).toBeUndefined()
    for (const member of members) member.answer = async (what) => (what === 'prepare' ? RIGHT : null)
    return members
  }

  [Symbol.dispose](): void {
    void this.supervisor.stop()
    this.supervisor.kill()
  }
}

describe.skipIf(!HAS_PROCESSES)('a place is filled again', () => {
  test('where its process ends in the moment in which it says that it serves', async () => {
    using hand = new Hand()
    const started = hand.supervisor.start()
    await hand.serving(0)
    const second = await hand.listening(1)
    second.serve()
    second.end('SIGKILL')
    expect(await started).toBe(1)
  })

  test('where the one that follows ends in the moment in which it says that it serves', async () => {
    using hand = new Hand()
    const [first] = await hand.start()
    first?.end('SIGKILL')
    const next = await hand.listening(2)
    next.serve()
    next.end('SIGSEGV')
    const last = await hand.serving(3)
    await until(() => last.told.includes('listen') && hand.supervisor.states().get('serving') === 2)
  })

  test('where a process ends while it learns what it missed', async () => {
    using hand = new Hand()
    const [first] = await hand.start()
    first?.end('SIGKILL')
    const next = await hand.listening(2)
    expect((await hand.supervisor.reload()).kind).toBe('right')
    next.answer = async () => {
      next.end('SIGKILL')
      throw new Error('the process has ended')
    }
    next.serve()
    await hand.serving(3)
    await until(() => hand.supervisor.states().get('serving') === 2)
    expect(hand.supervisor.restarts).toBe(2)
  })

  test('where the system could start no process at first', async () => {
    using hand = new Hand()
    const [first] = await hand.start()
    hand.refusals.push(new Error('EAGAIN'), new Error('EAGAIN'))
    first?.end(1)
    await hand.serving(2)
    await until(() => hand.supervisor.states().get('serving') === 2)
    expect(hand.lines.filter((line) => line === 'process 1 cannot be started by the system')).toHaveLength(2)
  })

  test('where a process never says that it is ready, and where one never says that it serves', async () => {
    const lines: string[] = []
    const say = (line: string) => void lines.push(line)
    const places = new Places(1, { hostname: '127.0.0.1', port: 0 }, 'http')
    const members: HandMember[] = []
    const keeper = new Keeper({
      places,
      // The cast: this much of a logger is used.
      logger: { error: say } as unknown as Logger,
      startMsMax: 5,
      launch: () => {
        const member = new HandMember(1)
        if (members.length === 1) member.beReady()
        members.push(member)
        return { member, joined: async () => undefined }
      },
    })
    for (const place of places) keeper.keep(place)
    await until(() => members.length === 3)
    keeper.stop()
    expect(members.slice(0, 2).map(({ state, told }) => [state, told])).toEqual([
      ['gone', []],
      ['gone', ['listen']],
    ])
    expect(lines.slice(0, 2)).toEqual([
      'process 1 does not serve after 0.005 s and is ended',
      'process 1 could not start and ended with 1',
    ])
    places.close()
  })
})

describe.skipIf(!HAS_PROCESSES)('where a process ends', () => {
  test('another accepts in its place, and not one that has ended as well and is not known to have', async () => {
    using hand = new Hand({ count: 3 })
    const started = hand.supervisor.start()
    const [first, second, third] = [await hand.serving(0), await hand.serving(1), await hand.serving(2)]
    expect(await started).toBeUndefined()
    first.isReached = false
    second.end('SIGKILL')
    await until(() => third.rescued.length > 0)
    expect([first.rescued, third.rescued]).toEqual([[], [2]])
  })
})

describe.skipIf(!HAS_PROCESSES)('where a process is told to stop by somebody else', () => {
  test('another accepts in its place at once, and one more where that gets an error that says so too; both are followed', async () => {
    using hand = new Hand({ count: 3 })
    const started = hand.supervisor.start()
    const [first, second, third] = [await hand.serving(0), await hand.serving(1), await hand.serving(2)]
    expect(await started).toBeUndefined()
    hand.leave[0]?.()
    expect([second.rescued, third.rescued]).toEqual([[1], []])
    hand.leave[1]?.()
    expect([second.rescued, third.rescued]).toEqual([[1], [1, 2]])
    await hand.serving(3)
    await hand.serving(4)
    await until(() => hand.supervisor.states().get('serving') === 3)
    expect(hand.supervisor.restarts).toBe(2)
    expect(third.told.filter((kind) => kind === 'release')).toHaveLength(2)
    for (const member of [first, second]) member.end(0)
    expect(hand.lines).toContain('process 1 was told to stop by a signal of its own; another takes its place')
    // Nobody is told twice to accept in one place.
    expect(third.rescued).toEqual([1, 2])
  })
})

describe.skipIf(!HAS_PROCESSES)('a stop', () => {
  test('during the start starts no more, and is no failure', async () => {
    using hand = new Hand()
    const started = hand.supervisor.start()
    const first = await hand.listening(0)
    const stopped = hand.supervisor.stop()
    first.serve()
    await until(() => first.told.includes('stop'))
    first.end(0)
    expect(await stopped).toBe(0)
    await started
    expect(hand.members).toHaveLength(1)
    expect(hand.lines).toEqual([])
  })

  test('reports a process that may accept already to finish, and ends one that starts', async () => {
    using hand = new Hand()
    await hand.start()
    const rolled = hand.supervisor.roll()
    const next = await hand.listening(2)
    const stopped = hand.supervisor.stop()
    expect(next.told).toEqual(['listen', 'stop'])
    for (const member of hand.members) member.end(0)
    expect(await stopped).toBe(0)
    await rolled
    expect(hand.lines).toEqual(['every process is replaced by another, one after the other'])
  })
})

describe.skipIf(!HAS_PROCESSES)('a signal to read the settings again', () => {
  test('replaces a process that hangs and cannot say what it makes of them', async () => {
    using hand = new Hand()
    const [first, second] = await hand.start()
    if (first !== undefined) first.answer = () => Promise.reject(new Error('the process does not answer'))
    const rolled = hand.supervisor.signalled()
    await hand.serving(2)
    await until(() => first?.state === 'draining')
    first?.end('SIGKILL')
    await hand.serving(3)
    await until(() => second?.state === 'draining')
    second?.end(0)
    await rolled
    expect(hand.lines).toContain('every process has been replaced')
  })

  test('is rejected by a reload that replaces none, where one hangs and has not ended', async () => {
    using hand = new Hand()
    const [first] = await hand.start()
    if (first !== undefined) first.answer = () => Promise.reject(new Error('the process does not answer'))
    expect(await hand.supervisor.reload()).toEqual({ kind: 'wrong', faults: ['process 1: the process does not answer'] })
    if (first !== undefined)
      first.answer = () => {
        first.end('SIGKILL')
        return Promise.reject(new Error('the process has ended'))
      }
    expect((await hand.supervisor.reload()).kind).toBe('right')
  })
})

describe.skipIf(!HAS_PROCESSES)('the engine process', () => {
  /** The so-manyeth that was started, once it is. */
  const engineAt = async (hand: Hand, index: number) => {
    await until(() => hand.engines.length > index)
    return hand.engines[index] as HandEngine
  }

  test('that cannot start ends the start, with its code', async () => {
    using hand = new Hand()
    hand.areEnginesPrompt = false
    const started = hand.supervisor.start()
    const engine = await engineAt(hand, 0)
    engine.end(2)
    expect(await started).toBe(2)
    expect(hand.engines).toHaveLength(1)
  })

  test('is followed by another, which learns what requests have left, and linked with all that hear of it', async () => {
    using hand = new Hand()
    const members = await hand.start()
    const [first] = hand.engines
    for (const join of hand.joins) join()
    expect([first?.told, members.map(({ links }) => links)]).toEqual([['restore'], [1, 1]])
    hand.journal.at(-1)?.({ started: ['a'], entries: [{ what: 'unload', name: 'a' }] })
    first?.end('SIGSEGV')
    const second = await engineAt(hand, 1)
    hand.joins.at(-1)?.()
    expect(second.restored).toEqual({ started: ['a'], entries: [{ what: 'unload', name: 'a' }] })
    expect(members.map(({ links }) => links)).toEqual([2, 2])
    expect([hand.supervisor.engineRestarts, hand.supervisor.restarts]).toEqual([1, 0])
    expect(hand.lines).toContain('the engine process ended with SIGSEGV; another takes its place, and loads what was loaded')
  })

  test('that ends again and again is tried again, after longer and longer pauses', async () => {
    using hand = new Hand()
    await hand.start()
    hand.areEnginesPrompt = false
    hand.engines[0]?.end(1)
    for (const index of [1, 2]) (await engineAt(hand, index)).end(1)
    const last = await engineAt(hand, 3)
    last.beReady()
    await until(() => hand.lines.filter((line) => line === 'the engine process could not start and ended with 1').length === 2)
    expect(hand.supervisor.engineRestarts).toBe(1)
  })

  test('is not replaced with the others, and what it would take of the settings is reported', async () => {
    using hand = new Hand()
    const members = await hand.start()
    const reloaded = { changed: [], needsRestart: ['title', 'threads', 'models'] }
    for (const member of members) member.answer = async (what) => (what === 'prepare' ? { kind: 'right', reloaded } : null)
    const told = hand.supervisor.signalled()
    for (const index of [2, 3]) {
      await hand.serving(index)
      members[index - 2]?.end(0)
    }
    await told
    expect(hand.engines).toHaveLength(1)
    expect(hand.lines).toContain('the engine process is not replaced: models, threads count after a restart of the server')
  })

  test('takes part in reading the settings again, and ends after all others', async () => {
    using hand = new Hand()
    const members = await hand.start()
    const [engine] = hand.engines
    await hand.supervisor.reload()
    expect(engine?.asked.filter((what) => what !== 'alive')).toEqual(['prepare', 'apply'])
    const stopped = hand.supervisor.stop()
    expect(engine?.told).not.toContain('stop')
    for (const member of members) member.end(0)
    expect(await stopped).toBe(0)
    expect(engine?.told).toContain('stop')
  })
})
