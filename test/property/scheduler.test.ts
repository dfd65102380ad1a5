import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { VestalError } from '../../src/core/errors.ts'
import { Admission } from '../../src/inference/queue/admission.ts'
import { Scheduler } from '../../src/inference/queue/scheduler.ts'
import { ModelCounters } from '../../src/inference/statistics.ts'
import { HandClock } from '../support/hand-clock.ts'
import { HandInstance } from '../support/hand-instance.ts'
import { seedOf } from '../support/seed.ts'

/** What one request asked for, and what its caller was told, in the order it was told. */
interface Asked {
  readonly id: number
  readonly rows: number
  readonly bytes: number
  readonly bucket: string | undefined
  readonly subject: string
  readonly isPoison: boolean
  /** Its signal is given as a function, which is asked for a while after it came. */
  readonly isLate: boolean
  readonly controller: AbortController
  readonly deadlineMs: number
  readonly told: string[]
}

interface Limits {
  readonly queueMax: number
  readonly requestsMax: number
  readonly subjectRequestsMax: number
  readonly bytesMax: number
  readonly rowsMax: number
  readonly batchBytesMax: number
  readonly delayMs: number
  readonly mayRunAhead: boolean
  readonly isPrompt: boolean
}

const REFUSALS = new Set(['QUEUE_FULL', 'SUBJECT_LIMIT', 'SERVER_STOPPING'])

/** A scheduler with workers that the test plays, and everything that is known of every request. */
class System {
  readonly clock: HandClock
  readonly counters = new ModelCounters()
  readonly admission: Admission
  readonly workers: readonly HandInstance<Asked, number>[]
  readonly scheduler: Scheduler<Asked, number>
  readonly asked: Asked[] = []
  readonly faults: string[] = []
  readonly #dead = new Set<HandInstance<Asked, number>>()
  #runsOf = new Map<number, number>()
  readonly #limits: Limits

  constructor(workers: number, limits: Limits) {
    this.#limits = limits
    this.clock = new HandClock(limits)
    this.admission = new Admission(limits)
    this.scheduler = new Scheduler({
      clock: this.clock,
      counters: this.counters,
      admission: this.admission,
      queueMax: limits.queueMax,
      batches: { rowsMax: limits.rowsMax, bytesMax: limits.batchBytesMax, delayMs: limits.delayMs },
      mayRunAhead: limits.mayRunAhead,
      priorityLevels: 2,
      priorityDefault: 2,
      timeoutMs: 1_000,
    })
    this.workers = Array.from({ length: workers }, () => this.#worker())
    for (const worker of this.workers) this.scheduler.attach(worker)
  }

  ask(
    request: Omit<Asked, 'id' | 'controller' | 'deadlineMs' | 'told'> & { timeoutMs: number | undefined; priority: number },
  ): void {
    const { timeoutMs, priority, ...rest } = request
    const controller = new AbortController()
    const deadlineMs = this.clock.now() + Math.min(timeoutMs ?? 1_000, 1_000)
    const asked: Asked = { ...rest, id: this.asked.length, controller, deadlineMs, told: [] }
    this.asked.push(asked)
    const tell = (text: string) => void asked.told.push(text)
    try {
      const { rows, bytes, bucket, subject, isLate } = asked
      const signal = isLate ? () => controller.signal : controller.signal
      const submission = { input: asked, rows, bytes, bucket, subject, priority, timeoutMs, signal }
      this.scheduler.submit(submission).then(
        (output) => tell(`output ${output}`),
        (error) => tell(codeOf(error)),
      )
    } catch (error) {
      tell(codeOf(error))
    }
  }

  /** Ends the run of a worker as a real one would: a poisoned input fails the whole run. */
  finish(worker: HandInstance<Asked, number>): void {
    if (!worker.isBusy) return
    if (worker.inputs.some(({ isPoison }) => isPoison)) worker.settle({ kind: 'failed', reason: 'poison' })
    else worker.finish()
  }

  kill(worker: HandInstance<Asked, number>): void {
    if (this.#dead.has(worker)) return
    this.#dead.add(worker)
    this.scheduler.detach(worker)
    worker.lose()
    if (this.#dead.size === this.workers.length) this.scheduler.failPending()
  }

  revive(worker: HandInstance<Asked, number>): void {
    if (!this.#dead.delete(worker)) return
    this.scheduler.attach(worker)
  }

  /** What must hold at every moment. */
  check(): void {
    const running = this.workers.flatMap(({ given }) => given.flat())
    this.#must(
      running.length === this.scheduler.running,
      `${running.length} run, and the scheduler says ${this.scheduler.running}`,
    )
    const { requestsMax, queueMax, delayMs, isPrompt, mayRunAhead } = this.#limits
    this.#must(this.admission.requests <= requestsMax, 'too many requests')
    this.#must(this.scheduler.waiting + this.scheduler.running <= queueMax, 'too many in the queue')
    this.#checkSubjects(running)
    this.#must(this.admission.requests === this.scheduler.waiting + running.length, 'a place was lost')
    for (const worker of this.workers) {
      for (const run of worker.given) this.#checkRun(run)
      this.#must(worker.given.length <= (mayRunAhead ? 2 : 1), `a worker was given ${worker.given.length} runs`)
    }
    for (const { id, told } of this.asked) this.#must(told.length <= 1, `request ${id} was told ${told.join(' and ')}`)
    const idle = this.workers.some((worker) => !worker.isBusy && !this.#dead.has(worker))
    // A worker may be idle for a moment, to let a batch come together.
    this.#must(!idle || this.scheduler.waiting === 0 || delayMs > 0 || !isPrompt, 'somebody waits while a worker is idle')
  }

  #checkRun(inputs: readonly Asked[]): void {
    if (inputs.length < 2) return
    const rows = inputs.reduce((sum, each) => sum + each.rows, 0)
    const bytes = inputs.reduce((sum, each) => sum + each.bytes, 0)
    this.#must(rows <= this.#limits.rowsMax, `a shared run of ${rows} rows`)
    this.#must(bytes <= this.#limits.batchBytesMax, `a shared run of ${bytes} bytes`)
    this.#must(
      inputs.every(({ bucket }) => bucket !== undefined && bucket === inputs[0]?.bucket),
      'buckets were mixed',
    )
    this.#must(new Set(inputs).size === inputs.length, 'a request twice in one run')
  }

  #worker(): HandInstance<Asked, number> {
    return new HandInstance(
      ({ id }: Asked) => id,
      (inputs) => this.#checkBegun(inputs),
    )
  }

  /** What is running of a subject is a part of what it may have. */
  #checkSubjects(running: readonly Asked[]): void {
    const { subjectRequestsMax, bytesMax } = this.#limits
    for (const subject of ['ann', 'bob', 'cid']) {
      const own = running.filter((asked) => asked.subject === subject).length
      this.#must(own <= subjectRequestsMax, `${subject} has ${own}`)
    }
    this.#must(this.admission.bytes <= bytesMax || this.admission.requests === 1, 'too many bytes')
  }

  /** What nobody waits for any more is not handed over. */
  #checkBegun(inputs: readonly Asked[]): void {
    const nowMs = this.clock.now()
    for (const { id, controller, deadlineMs, isLate } of inputs) {
      this.#must((isLate || !controller.signal.aborted) && deadlineMs > nowMs, `request ${id} was given up, and begun`)
    }
  }

  /** Lets everything end, and looks at every answer. */
  async end(): Promise<void> {
    for (const worker of this.workers) this.revive(worker)
    const stopped = this.scheduler.stop()
    for (let turn = 0; this.admission.requests > 0 && turn < 1000; turn += 1) {
      for (const worker of this.workers) this.finish(worker)
      this.clock.turn()
      this.clock.pass(1)
    }
    await stopped
    await Bun.sleep(0)
    this.check()
    this.#must(this.admission.requests === 0 && this.admission.bytes === 0, 'places are left over')
    for (const asked of this.asked) this.#checkAnswer(asked)
    for (const [id, runs] of this.#runs()) this.#must(runs <= 2, `request ${id} ran ${runs} times`)
  }

  #checkAnswer({ id, told, isPoison, controller }: Asked): void {
    const [answer] = told
    this.#must(told.length === 1, `request ${id} was told ${told.length} times`)
    if (answer === undefined) return
    if (answer.startsWith('output')) this.#must(answer === `output ${id}` && !isPoison, `request ${id} was given ${answer}`)
    else if (answer === 'INFERENCE_FAILED') this.#must(isPoison, `request ${id} failed for another`)
    else if (answer === 'REQUEST_ABORTED') this.#must(controller.signal.aborted, `request ${id} was not aborted`)
    else
      this.#must(
        REFUSALS.has(answer) || ['QUEUE_TIMEOUT', 'REQUEST_TIMEOUT', 'WORKER_LOST'].includes(answer),
        `request ${id}: ${answer}`,
      )
    if (REFUSALS.has(answer)) this.#must(!this.#runs().has(id), `request ${id} was refused and ran`)
  }

  #runs(): ReadonlyMap<number, number> {
    if (this.#runsOf.size > 0) return this.#runsOf
    for (const { id } of this.workers.flatMap(({ runs }) => runs.flat())) this.#runsOf.set(id, (this.#runsOf.get(id) ?? 0) + 1)
    return this.#runsOf
  }

  #must(condition: boolean, fault: string): void {
    if (!condition) this.faults.push(fault)
  }
}

function codeOf(error: unknown): string {
  return error instanceof VestalError ? error.code : `a bug: ${String(error)}`
}

const STEP = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      rows: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) },
        { weight: 1, arbitrary: fc.integer({ min: 5, max: 20 }) },
      ),
      bytes: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 6 }) },
        { weight: 1, arbitrary: fc.integer({ min: 7, max: 40 }) },
      ),
      bucket: fc.constantFrom('x', 'x', 'x', 'y', undefined),
      subject: fc.constantFrom('', 'ann', 'bob', 'cid'),
      isPoison: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
      isLate: fc.boolean(),
      timeoutMs: fc.constantFrom(undefined, undefined, 0, 5, 50, 5_000),
      priority: fc.constantFrom(0, 0, 1, 2, 7),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('finish' as const), worker: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), worker: fc.nat({ max: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('revive' as const), worker: fc.nat({ max: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), request: fc.nat({ max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 4, 20, 400) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
)

const LIMITS = fc.record({
  queueMax: fc.integer({ min: 1, max: 16 }),
  requestsMax: fc.integer({ min: 1, max: 16 }),
  subjectRequestsMax: fc.integer({ min: 1, max: 8 }),
  bytesMax: fc.integer({ min: 10, max: 200 }),
  rowsMax: fc.integer({ min: 1, max: 10 }),
  batchBytesMax: fc.integer({ min: 1, max: 60 }),
  delayMs: fc.constantFrom(0, 0, 3),
  mayRunAhead: fc.boolean(),
  isPrompt: fc.boolean(),
})

type Step = typeof STEP extends fc.Arbitrary<infer S> ? S : never

async function play(system: System, step: Step): Promise<void> {
  const at = (index: number) => system.workers[index % system.workers.length] as HandInstance<Asked, number>
  if (step.kind === 'ask') system.ask(step)
  else if (step.kind === 'finish') system.finish(at(step.worker))
  else if (step.kind === 'kill') system.kill(at(step.worker))
  else if (step.kind === 'revive') system.revive(at(step.worker))
  else if (step.kind === 'abort') system.asked[step.request]?.controller.abort()
  else if (step.kind === 'pass') system.clock.pass(step.ms)
  else {
    system.clock.turn()
    await Bun.sleep(0)
  }
}

test('every caller gets its own answer, once, and no limit is ever exceeded: with cancellations, failures, deadlines and lost workers', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 3 }),
    LIMITS,
    fc.array(STEP, { maxLength: 80, size: 'max' }),
    async (workers, limits, steps) => {
      const system = new System(workers, limits)
      for (const step of steps) {
        await play(system, step)
        system.check()
      }
      await system.end()
      expect(system.faults).toEqual([])
    },
  )
  // A failure prints its seed, and the shortest steps that show it.
  await fc.assert(property, { numRuns: 400, seed: seedOf('scheduler') })
})
