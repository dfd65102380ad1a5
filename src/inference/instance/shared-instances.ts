import type { InstanceEnd, InstanceEvents, InstanceProcess, KillLabel, StartInstance } from './instance-process.ts'
import type { FromInstance, LoadInstance } from './messages.ts'

/** A model in whose loads and runs the shared process ended so often has a process of its own from then on. */
const ENDS_MAX = 3

/** One model's part of a shared process. */
interface Part {
  /** `<name>/<version>`, for messages. */
  readonly key: string
  readonly session: number
  readonly events: InstanceEvents
  /** What it was asked to load, until that has begun. */
  load: LoadInstance | undefined
  /** It accepts nothing any more, and late answers are ignored. */
  isLeaving: boolean
  readonly gone: PromiseWithResolvers<void>
  process: SharedProcess
}

/**
 * Puts models into one process: there is one as long as a model is in it. They compute one after the other, and what ends the process
 * ends it for all of them.
 */
export class SharedInstances {
  readonly #startProcess: StartInstance
  #process: SharedProcess | undefined
  #lastSession = 0

  constructor(startProcess: StartInstance) {
    this.#startProcess = startProcess
  }

  /** Gives what starts the part of one model: in the shared process, or in one of its own where it has ended that again and again. */
  starterOf(key: string, warn: (message: string) => void): StartInstance {
    let ends = 0
    return (events) => {
      if (ends >= ENDS_MAX) return this.#startProcess(events)
      return this.#enter(key, {
        ...events,
        ended: (end) => {
          if (isItsOwn(end)) ends += 1
          if (isItsOwn(end) && ends === ENDS_MAX)
            warn(`it ended the shared process ${ENDS_MAX} times; it has a process of its own until it is loaded again`)
          events.ended(end)
        },
      })
    }
  }

  #enter(key: string, events: InstanceEvents): InstanceProcess {
    const process = this.#current()
    this.#lastSession = (this.#lastSession + 1) % 2 ** 32
    const session = this.#lastSession
    const part: Part = {
      key,
      session,
      events,
      load: undefined,
      isLeaving: false,
      gone: Promise.withResolvers<void>(),
      process,
    }
    process.add(part)
    return {
      get pid() {
        return part.process.pid
      },
      gone: part.gone.promise,
      send(message) {
        if (message.kind !== 'load') return
        part.load = { ...message, session }
        part.process.load(part)
      },
      run: (message) => part.process.ask(part, (process) => process.run({ ...message, session })),
      check: (trial) => part.process.ask(part, (process) => process.check(trial, session)),
      kill: (label, cause) => part.process.kill(part, label, cause),
      residentBytes: () => part.process.residentBytes(),
    }
  }

  #current(): SharedProcess {
    if (this.#process?.isOpen !== true) this.#process = new SharedProcess(this.#startProcess, (part) => this.#again(part))
    return this.#process
  }

  /** Takes a part over whose load had not begun when its process ended. */
  #again(part: Part): void {
    try {
      part.process = this.#current()
    } catch (error) {
      part.events.ended(killed('stopped', `no other process can be started: ${String(error)}`))
      part.gone.resolve()
      return
    }
    part.process.add(part)
    part.process.load(part)
    if (part.load === undefined) part.events.begun?.()
  }
}

/** One process, from its start to its end. */
class SharedProcess {
  readonly #process: InstanceProcess
  readonly #again: (part: Part) => void
  readonly #parts = new Set<Part>()
  /** Whose answers are to come, in the order in which the process works. */
  readonly #asked: Part[] = []
  /** Takes other models in. */
  isOpen = true

  constructor(start: StartInstance, again: (part: Part) => void) {
    this.#again = again
    this.#process = start({ message: (message) => this.#answered(message), ended: (end) => this.#ended(end) })
  }

  get pid(): number {
    return this.#process.pid
  }

  residentBytes(): number | undefined {
    return this.#process.residentBytes()
  }

  add(part: Part): void {
    this.#parts.add(part)
  }

  load(part: Part): void {
    const { load } = part
    if (load !== undefined) this.ask(part, (process) => process.send(load))
  }

  /** Asks for something that is answered once. @throws what `send` throws: nothing was sent then */
  ask(part: Part, send: (process: InstanceProcess) => void): void {
    send(this.#process)
    this.#asked.push(part)
    if (this.#asked.length === 1) part.load = undefined
  }

  kill(part: Part, label: KillLabel, cause: string): void {
    if (part.isLeaving) return
    const isAtWork = this.#asked[0] === part
    if (label === 'stopped') this.#leave(part, killed(label, cause))
    // Its time begins when its turn comes.
    else if (isAtWork || (label !== 'run limit' && label !== 'load limit')) this.#end(label, cause)
  }

  #leave(part: Part, end: InstanceEnd): void {
    part.isLeaving = true
    part.events.ended(end)
    if ([...this.#parts].every(({ isLeaving }) => isLeaving)) this.#end('stopped', end.cause)
    else this.ask(part, (process) => process.send({ kind: 'unload', session: part.session }))
  }

  #end(label: KillLabel, cause: string): void {
    this.isOpen = false
    this.#process.kill(label, cause)
  }

  #answered(message: FromInstance): void {
    const part = this.#asked.shift()
    const [next] = this.#asked
    if (next !== undefined) next.load = undefined
    if (part !== undefined && message.kind === 'unloaded') {
      this.#parts.delete(part)
      part.gone.resolve()
    } else if (part?.isLeaving === false) part.events.message(message)
    // Of one part, the next begins when the one before is done, as it does by itself.
    if (next !== part && next?.isLeaving === false) next.events.begun?.()
  }

  #ended(end: InstanceEnd): void {
    this.isOpen = false
    const [atWork] = this.#asked.splice(0)
    const parts = [...this.#parts]
    this.#parts.clear()
    for (const part of parts) {
      if (part.isLeaving) part.gone.resolve()
      else if (part.load !== undefined) this.#again(part)
      else {
        part.events.ended(part === atWork ? end : causedBy(atWork, end))
        part.gone.resolve()
      }
    }
  }
}

function killed(label: KillLabel, cause: string): InstanceEnd {
  return { cause, label, isKilled: true }
}

/** Whether a model is to blame for the end of its process. SIGKILL is no fault of a model's, but the system's choice, or a person's. */
function isItsOwn({ label, isOthers }: InstanceEnd): boolean {
  return isOthers !== true && label !== 'stopped' && label !== 'SIGKILL'
}

/** What the end of a process is to the models that were not at work in it. */
function causedBy(atWork: Part | undefined, { cause }: InstanceEnd): InstanceEnd {
  const where = atWork === undefined ? '' : ` in ${atWork.key}, which shares its process`
  return { cause: `${cause}${where}`, label: 'shared process', isKilled: false, isOthers: true }
}
