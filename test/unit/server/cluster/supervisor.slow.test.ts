import { describe, expect, test } from 'bun:test'
import type { ChildMethod, EngineState, ToChild } from '../../../../src/server/cluster/ipc.ts'
import { Replicas } from '../../../../src/server/cluster/replicas.ts'
import { ReplicaRestartLoop } from '../../../../src/server/cluster/restart-loop.ts'
import { Supervisor } from '../../../../src/server/cluster/supervisor.ts'
import type { Logger } from '../../../../src/telemetry/log/logger.ts'
import { FakeChild } from '../../../support/fake-child.ts'
import { HAS_PROCESSES } from '../../../support/processes.ts'
import { until } from '../../../support/until.ts'

const RIGHT = { kind: 'right', reloaded: { changed: [], needsRestart: [] } }

/** An engine process that accepts all settings, and exits when it is stopped. */
class FakeEngine extends FakeChild {
  override respond = async (method: ChildMethod): Promise<unknown> => (method === 'prepare' ? RIGHT : null)
  restored: EngineState | undefined
  override send(message: ToChild): void {
    if (message.kind === 'restore') this.restored = message.state
    super.send(message)
    if (message.kind === 'stop') this.end(0)
  }
}

/** A supervisor whose processes do what a test says. */
class TestCluster implements Disposable {
  readonly children: FakeChild[] = []
  readonly lines: string[] = []
  /** Reports that a process received a stop signal, by the order in which they were started. */
  readonly signal: (() => void)[] = []
  /** What the system says instead of starting the next processes. */
  readonly startErrors: Error[] = []
  readonly supervisor: Supervisor
  /** The engine processes that were started, and what reports the state of each. */
  readonly engines: FakeEngine[] = []
  readonly engineStates: ((state: EngineState) => void)[] = []
  /** Reports that a process receives messages, by the order in which they were started. */
  readonly connects: (() => void)[] = []
  /** Whether engine processes are ready at once. */
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
      startEngine: ({ onConnected, onEngineState }) => {
        const engine = new FakeEngine(0)
        this.engines.push(engine)
        this.connects.push(() => onConnected(engine))
        this.engineStates.push(onEngineState)
        if (this.areEnginesPrompt) engine.beReady()
        return engine
      },
      startHttp: (number, { onStopping, onConnected }) => {
        const startError = this.startErrors.shift()
        if (startError !== undefined) throw startError
        const child = new FakeChild(number)
        this.children.push(child)
        this.connects.push(() => onConnected(child))
        this.signal.push(() => {
          child.state = 'draining'
          onStopping(child)
        })
        return child
      },
    })
  }

  /** A process by the order of starts, once it is started. */
  async child(index: number): Promise<FakeChild> {
    await until(() => this.children.length > index)
    return this.children[index] as FakeChild
  }

  /** The same, once its listening socket was sent. */
  async listening(index: number): Promise<FakeChild> {
    const child = await this.child(index)
    child.beReady()
    await until(() => child.sent.includes('listen'))
    return child
  }

  async serving(index: number): Promise<FakeChild> {
    const child = await this.listening(index)
    child.serve()
    return child
  }

  /** Starts all replicas. */
  async start(): Promise<readonly FakeChild[]> {
    const started = this.supervisor.start()
    const children = [await this.serving(0), await this.serving(1)]
    expect(await started).toBeUndefined()
    for (const child of children) child.respond = async (method) => (method === 'prepare' ? RIGHT : null)
    return children
  }

  [Symbol.dispose](): void {
    void this.supervisor.stop()
    this.supervisor.kill()
  }
}

describe.skipIf(!HAS_PROCESSES)('the supervisor restarts a process', () => {
  test('and gives the exit code where it ends while the server starts', async () => {
    using cluster = new TestCluster()
    const started = cluster.supervisor.start()
    await cluster.serving(0)
    const second = await cluster.listening(1)
    second.serve()
    second.end('SIGKILL')
    expect(await started).toBe(1)
  })

  test('whose replacement ends at the moment it reports that it serves', async () => {
    using cluster = new TestCluster()
    const [first] = await cluster.start()
    first?.end('SIGKILL')
    const next = await cluster.listening(2)
    next.serve()
    next.end('SIGSEGV')
    const last = await cluster.serving(3)
    await until(() => last.sent.includes('listen') && cluster.supervisor.states().get('serving') === 2)
  })

  test('that ends while it catches up with a reload', async () => {
    using cluster = new TestCluster()
    const [first] = await cluster.start()
    first?.end('SIGKILL')
    const next = await cluster.listening(2)
    expect((await cluster.supervisor.reload()).kind).toBe('right')
    next.respond = async () => {
      next.end('SIGKILL')
      throw new Error('the process has ended')
    }
    next.serve()
    await cluster.serving(3)
    await until(() => cluster.supervisor.states().get('serving') === 2)
    expect(cluster.supervisor.restarts).toBe(2)
  })

  test('where the system could not start one at first', async () => {
    using cluster = new TestCluster()
    const [first] = await cluster.start()
    cluster.startErrors.push(new Error('EAGAIN'), new Error('EAGAIN'))
    first?.end(1)
    await cluster.serving(2)
    await until(() => cluster.supervisor.states().get('serving') === 2)
    expect(cluster.lines.filter((line) => line === 'the system cannot start process 1')).toHaveLength(2)
  })

  test('that never becomes ready, and one that never listens', async () => {
    const lines: string[] = []
    const say = (line: string) => void lines.push(line)
    const replicas = new Replicas(1, { hostname: '127.0.0.1', port: 0 }, 'http')
    const children: FakeChild[] = []
    const loop = new ReplicaRestartLoop({
      replicas,
      // The cast: this much of a logger is used.
      logger: { error: say } as unknown as Logger,
      startMsMax: 5,
      launch: () => {
        const child = new FakeChild(1)
        if (children.length === 1) child.beReady()
        children.push(child)
        return { child, onServing: async () => undefined }
      },
    })
    for (const replica of replicas) loop.restart(replica)
    await until(() => children.length === 3)
    loop.stop()
    expect(children.slice(0, 2).map(({ state, sent }) => [state, sent])).toEqual([
      ['gone', []],
      ['gone', ['listen']],
    ])
    expect(lines.slice(0, 2)).toEqual([
      'process 1 did not start within 0.005 s; killing it',
      'process 1 failed to start and ended with 1',
    ])
    replicas.close()
  })
})

describe.skipIf(!HAS_PROCESSES)('the replica of a process that ended', () => {
  test('has a substitute, which is not a process that has ended unnoticed', async () => {
    using cluster = new TestCluster({ count: 3 })
    const started = cluster.supervisor.start()
    const [first, second, third] = [await cluster.serving(0), await cluster.serving(1), await cluster.serving(2)]
    expect(await started).toBeUndefined()
    first.isReached = false
    second.end('SIGKILL')
    await until(() => third.substituteFor.length > 0)
    expect([first.substituteFor, third.substituteFor]).toEqual([[], [2]])
  })
})

describe.skipIf(!HAS_PROCESSES)('a process that receives a stop signal', () => {
  test('has a substitute at once, which is replaced where it is signalled too; both are restarted', async () => {
    using cluster = new TestCluster({ count: 3 })
    const started = cluster.supervisor.start()
    const [first, second, third] = [await cluster.serving(0), await cluster.serving(1), await cluster.serving(2)]
    expect(await started).toBeUndefined()
    cluster.signal[0]?.()
    expect([second.substituteFor, third.substituteFor]).toEqual([[1], []])
    cluster.signal[1]?.()
    expect([second.substituteFor, third.substituteFor]).toEqual([[1], [1, 2]])
    await cluster.serving(3)
    await cluster.serving(4)
    await until(() => cluster.supervisor.states().get('serving') === 3)
    expect(cluster.supervisor.restarts).toBe(2)
    expect(third.sent.filter((kind) => kind === 'release')).toHaveLength(2)
    for (const child of [first, second]) child.end(0)
    expect(cluster.lines).toContain('process 1 received a stop signal; starting a replacement')
    // No process accepts twice for one replica.
    expect(third.substituteFor).toEqual([1, 2])
  })
})

describe.skipIf(!HAS_PROCESSES)('a stop', () => {
  test('during the start starts no more processes, and exits with 0', async () => {
    using cluster = new TestCluster()
    const started = cluster.supervisor.start()
    const first = await cluster.listening(0)
    const stopped = cluster.supervisor.stop()
    first.serve()
    await until(() => first.sent.includes('stop'))
    first.end(0)
    expect(await stopped).toBe(0)
    await started
    expect(cluster.children).toHaveLength(1)
    expect(cluster.lines).toEqual([])
  })

  test('lets a process finish that may accept already, and kills one that starts', async () => {
    using cluster = new TestCluster()
    await cluster.start()
    const rolled = cluster.supervisor.roll()
    const next = await cluster.listening(2)
    const stopped = cluster.supervisor.stop()
    expect(next.sent).toEqual(['listen', 'stop'])
    for (const child of cluster.children) child.end(0)
    expect(await stopped).toBe(0)
    await rolled
    expect(cluster.lines).toEqual(['rolling restart: replacing every process, one after the other'])
  })
})

describe.skipIf(!HAS_PROCESSES)('SIGHUP', () => {
  test('replaces a process that hangs and cannot check the settings', async () => {
    using cluster = new TestCluster()
    const [first, second] = await cluster.start()
    if (first !== undefined) first.respond = () => Promise.reject(new Error('the process does not respond'))
    const rolled = cluster.supervisor.reloadAndRoll()
    await cluster.serving(2)
    await until(() => first?.state === 'draining')
    first?.end('SIGKILL')
    await cluster.serving(3)
    await until(() => second?.state === 'draining')
    second?.end(0)
    await rolled
    expect(cluster.lines).toContain('rolling restart finished: every process was replaced')
  })

  test('fails as a reload that replaces none where a process hangs, and not where it has ended', async () => {
    using cluster = new TestCluster()
    const [first] = await cluster.start()
    if (first !== undefined) first.respond = () => Promise.reject(new Error('the process does not respond'))
    expect(await cluster.supervisor.reload()).toEqual({ kind: 'wrong', faults: ['process 1: the process does not respond'] })
    if (first !== undefined)
      first.respond = () => {
        first.end('SIGKILL')
        return Promise.reject(new Error('the process has ended'))
      }
    expect((await cluster.supervisor.reload()).kind).toBe('right')
  })
})

describe.skipIf(!HAS_PROCESSES)('the engine process', () => {
  /** An engine process by the order of starts, once it is started. */
  const engineAt = async (cluster: TestCluster, index: number) => {
    await until(() => cluster.engines.length > index)
    return cluster.engines[index] as FakeEngine
  }

  test('that cannot start ends the start with its exit code', async () => {
    using cluster = new TestCluster()
    cluster.areEnginesPrompt = false
    const started = cluster.supervisor.start()
    const engine = await engineAt(cluster, 0)
    engine.end(2)
    expect(await started).toBe(2)
    expect(cluster.engines).toHaveLength(1)
  })

  test('is replaced by one that restores its state, with a link to every connected HTTP process', async () => {
    using cluster = new TestCluster()
    const children = await cluster.start()
    const [first] = cluster.engines
    for (const connect of cluster.connects) connect()
    expect([first?.sent, children.map(({ links }) => links)]).toEqual([['restore'], [1, 1]])
    cluster.engineStates.at(-1)?.({ started: ['a'], entries: [{ what: 'unload', name: 'a' }] })
    first?.end('SIGSEGV')
    const second = await engineAt(cluster, 1)
    cluster.connects.at(-1)?.()
    expect(second.restored).toEqual({ started: ['a'], entries: [{ what: 'unload', name: 'a' }] })
    expect(children.map(({ links }) => links)).toEqual([2, 2])
    expect([cluster.supervisor.engineRestarts, cluster.supervisor.restarts]).toEqual([1, 0])
    expect(cluster.lines).toContain('the engine process ended with SIGSEGV; starting a replacement, which loads the same models')
  })

  test('that ends again and again is restarted with back-off', async () => {
    using cluster = new TestCluster()
    await cluster.start()
    cluster.areEnginesPrompt = false
    cluster.engines[0]?.end(1)
    for (const index of [1, 2]) (await engineAt(cluster, index)).end(1)
    const last = await engineAt(cluster, 3)
    last.beReady()
    await until(() => cluster.lines.filter((line) => line === 'the engine process failed to start and ended with 1').length === 2)
    expect(cluster.supervisor.engineRestarts).toBe(1)
  })

  test('is not replaced by a rolling restart, which logs the settings that need a restart of the server', async () => {
    using cluster = new TestCluster()
    const children = await cluster.start()
    const reloaded = { changed: [], needsRestart: ['title', 'threads', 'models'] }
    for (const child of children) child.respond = async (method) => (method === 'prepare' ? { kind: 'right', reloaded } : null)
    const rolled = cluster.supervisor.reloadAndRoll()
    for (const index of [2, 3]) {
      await cluster.serving(index)
      children[index - 2]?.end(0)
    }
    await rolled
    expect(cluster.engines).toHaveLength(1)
    expect(cluster.lines).toContain('the engine process is not replaced: restart the server to apply models, threads')
  })

  test('takes part in a reload, and stops after all others', async () => {
    using cluster = new TestCluster()
    const children = await cluster.start()
    const [engine] = cluster.engines
    await cluster.supervisor.reload()
    expect(engine?.requests.filter((method) => method !== 'ping')).toEqual(['prepare', 'apply'])
    const stopped = cluster.supervisor.stop()
    expect(engine?.sent).not.toContain('stop')
    for (const child of children) child.end(0)
    expect(await stopped).toBe(0)
    expect(engine?.sent).toContain('stop')
  })
})
