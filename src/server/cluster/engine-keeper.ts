import type { Logger } from '../../telemetry/log/logger.ts'
import { type MemberProcess, nameOf } from './member-process.ts'
import { type WatchTimes, watchMember } from './watch-member.ts'

export interface EngineKeeperOptions extends WatchTimes {
  readonly logger: Logger
  /** Starts an engine process. @throws what the system says where it starts none */
  readonly launch: () => MemberProcess
  /** Tells it what it may have missed, once it serves. */
  readonly served: (engine: MemberProcess) => Promise<void>
  /** Milliseconds until one that does not come to serve is ended. */
  readonly startMsMax: number
}

const [RETRY_MS, RETRY_MS_MAX] = [250, 10_000]
/** Ends in a row after which the next begins at once: all predictions wait for it. */
const AT_ONCE_MAX = 3
/** One that served for this long was right: its end is the first of a row. */
const STEADY_MS = 60_000

/** Keeps one engine process serving. */
export class EngineKeeper {
  readonly #options: EngineKeeperOptions
  #engine: MemberProcess | undefined
  /** Ends in a row, each before it had served for `STEADY_MS`. */
  #failures = 0
  #restarts = 0
  #isStopping = false

  constructor(options: EngineKeeperOptions) {
    this.#options = options
  }

  /** The one that serves, or is about to. */
  get engine(): MemberProcess | undefined {
    return this.#engine
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Starts the first. Gives its exit code where it could not start. */
  async start(): Promise<number | undefined> {
    const engine = this.#launch()
    if (engine === undefined) return 1
    if (await this.#comesToServe(engine)) return undefined
    return (await engine.exited) || 1
  }

  /** Tells it to end, and starts none from now on. Gives 0 where it ended well. */
  async stop(msMax: number): Promise<number> {
    this.#isStopping = true
    const engine = this.#engine
    if (engine === undefined || engine.state === 'gone') return 0
    if (engine.state === 'starting') engine.kill()
    else engine.tell({ kind: 'stop' })
    const isStarting = engine.state === 'starting'
    const timer = setTimeout(() => engine.kill(), msMax)
    const code = await engine.exited
    clearTimeout(timer)
    return isStarting ? 0 : code
  }

  /** Starts none from now on, and ends the one there is at once. */
  kill(): void {
    this.#isStopping = true
    this.#engine?.kill()
  }

  #launch(): MemberProcess | undefined {
    if (this.#isStopping) return undefined
    const { launch, logger } = this.#options
    try {
      this.#engine = launch()
      return this.#engine
    } catch (error) {
      logger.error('the engine process cannot be started by the system', { error })
      return undefined
    }
  }

  async #comesToServe(engine: MemberProcess): Promise<boolean> {
    const { startMsMax, logger, served } = this.#options
    const timer = setTimeout(() => {
      logger.error(`${nameOf(engine)} does not serve after ${startMsMax / 1000} s and is ended`)
      engine.kill()
    }, startMsMax)
    const isReady = await engine.ready.then(
      () => true,
      () => false,
    )
    clearTimeout(timer)
    if (!isReady) return false
    const steady = setTimeout(() => {
      if (this.#engine === engine) this.#failures = 0
    }, STEADY_MS)
    steady.unref()
    void engine.gone.then((how) => this.#gone(how))
    void watchMember(engine, this.#options)
    await served(engine)
    return true
  }

  #gone(how: number | string): void {
    if (this.#isStopping) return
    this.#restarts += 1
    this.#options.logger.error(`the engine process ended with ${how}; another takes its place, and loads what was loaded`)
    void this.#keep()
  }

  /** Tries until one serves, after longer and longer pauses. */
  async #keep(): Promise<void> {
    for (;;) {
      const isAtOnce = this.#failures < AT_ONCE_MAX
      const delayMs = isAtOnce ? 0 : Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (this.#failures - AT_ONCE_MAX))
      this.#failures += 1
      if (delayMs > 0) await Bun.sleep(delayMs)
      const engine = this.#launch()
      if (engine !== undefined && (await this.#comesToServe(engine))) return
      if (this.#isStopping) return
      const how = engine === undefined ? '' : ` and ended with ${await engine.gone}`
      this.#options.logger.error(`the engine process could not start${how}`)
    }
  }
}
