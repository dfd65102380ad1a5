import type { CodeEvents, CodeKill } from '../../src/inference/code/code-process.ts'
import type { ToCode } from '../../src/inference/code/messages.ts'
import type { NamedTensors } from '../../src/tensor/tensor.ts'

/** The definition of a `model.ts` that takes a text and gives one. */
export const MODEL = {
  description: '',
  calls: [],
  input: { form: 'text', schema: {} },
  output: { form: 'text', schema: {} },
  examples: [],
  batch: {},
  limits: {},
  isStream: false,
  isAroundFile: false,
} as const
export const BUNDLE = { map: '{}', folder: '/models/x/1' }
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A code process that the test plays. */
export class HandCodeProcess {
  readonly pid = 1
  readonly sent: (ToCode & { readonly with?: string })[] = []
  /** Tensors of what was sent last. */
  tensors: NamedTensors = new Map()
  readonly killed: [CodeKill, string][] = []
  readonly events: CodeEvents
  readonly #gone = Promise.withResolvers<void>()
  bytes: number | undefined = 0
  usedMs: number | undefined = 0

  constructor(events: CodeEvents) {
    this.events = events
  }

  get gone() {
    return this.#gone.promise
  }

  send(header: ToCode, text?: string, tensors: NamedTensors = new Map()) {
    this.sent.push(text === undefined ? header : { ...header, with: text })
    this.tensors = tensors
  }

  kill(label: CodeKill, cause: string) {
    this.killed.push([label, cause])
  }

  residentBytes = () => this.bytes
  processorMs = () => this.usedMs

  /** Sends a frame to the server. */
  answer(header: object, text = '', tensors: NamedTensors = new Map()) {
    this.events.frame({ header, text, tensors })
  }

  pong() {
    const ping = this.sent.findLast(({ kind }) => kind === 'ping')
    if (ping?.kind === 'ping') this.answer({ kind: 'pong', number: ping.number })
  }

  end(cause = 'exit code 1') {
    this.events.ended({ cause, label: cause, isKilled: false })
    this.#gone.resolve()
  }

  kinds = () => this.sent.map(({ kind }) => kind).filter((kind) => kind !== 'ping')

  /** Answers the steps of a load, each once it was asked. */
  async load(model: object = MODEL) {
    this.answer({ kind: 'bundled', bundle: BUNDLE, sources: [] }, 'code')
    await settled()
    this.answer({ kind: 'described', model })
    while (!this.kinds().includes('start')) await settled()
    this.answer({ kind: 'ready' })
    await settled()
  }
}
