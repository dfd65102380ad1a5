import { SieveCache } from '../core/sieve-cache.ts'
import { copyData, type NamedTensors, type Tensor, type TensorData } from '../tensor/tensor.ts'
import { bytesOf, type RunInput } from './batches.ts'
import type { ModelCounters, ResponseCacheStatistics } from './statistics.ts'

interface Entry {
  readonly question: RunInput
  readonly answer: NamedTensors
}

/** Answers at once, however small they are. */
const ENTRIES_MAX = 100_000
/** What an entry takes beside its tensors, about. */
const ENTRY_BYTES = 512

/**
 * Keeps the answers of one version of a model. A question is the same where its outputs, shapes and bytes are: a hash finds the entry,
 * and the whole question is compared. Nothing in it is shared with callers, who may change what they have.
 */
export class ResponseCache {
  readonly #bytesMax: number
  readonly #hash: (question: RunInput) => string
  readonly #entries: SieveCache<Entry>
  #hits = 0
  #misses = 0

  /** `hash` may be another in a test: answers do not depend on it. */
  constructor(bytesMax: number, hash: (question: RunInput) => string = hashOf) {
    this.#bytesMax = bytesMax
    this.#hash = hash
    this.#entries = new SieveCache({ entriesMax: ENTRIES_MAX, weightMax: bytesMax })
  }

  /** The answer to that very question, or undefined. */
  find(question: RunInput): NamedTensors | undefined {
    const entry = this.#entries.get(this.#hash(question))
    if (entry === undefined || !isSame(entry.question, question)) {
      this.#misses += 1
      return undefined
    }
    this.#hits += 1
    return copyOf(entry.answer)
  }

  /** A copy of a question to keep with its answer, since its memory may be moved away; undefined where it is too large to keep. */
  keepable(question: RunInput): RunInput | undefined {
    if (bytesOf(question.inputs) + ENTRY_BYTES > this.#bytesMax) return undefined
    return { ...question, inputs: copyOf(question.inputs) }
  }

  /** Keeps an answer; the question is the cache's from now on. */
  keep(question: RunInput, answer: NamedTensors): void {
    const bytes = bytesOf(question.inputs) + bytesOf(answer) + ENTRY_BYTES
    if (bytes <= this.#bytesMax) this.#entries.set(this.#hash(question), { question, answer: copyOf(answer) }, bytes)
  }

  get statistics(): ResponseCacheStatistics {
    const { evictions, entries, weight } = this.#entries.statistics
    return { hits: this.#hits, misses: this.#misses, evictions, entries, bytes: weight }
  }
}

interface Computing {
  readonly cache: ResponseCache
  readonly counters: ModelCounters
  readonly compute: () => Promise<NamedTensors>
}

/** Answers from the cache, or computes and keeps the answer; a failure is not kept. */
export function throughCache(question: RunInput, { cache, counters, compute }: Computing): Promise<NamedTensors> {
  const begun = Bun.nanoseconds()
  const found = cache.find(question)
  if (found !== undefined) {
    counters.hit(Bun.nanoseconds() - begun)
    return Promise.resolve(found)
  }
  const kept = cache.keepable(question)
  const lookedNs = Bun.nanoseconds() - begun
  const answer = compute()
  return answer.then((outputs) => {
    const computed = Bun.nanoseconds()
    if (kept !== undefined) cache.keep(kept, outputs)
    counters.missed(lookedNs + Bun.nanoseconds() - computed)
    return outputs
  })
}

function hashOf({ inputs, outputs }: RunInput): string {
  let hash = Bun.hash(outputs?.join('\0') ?? '')
  for (const [name, { shape, data }] of inputs) {
    hash = Bun.hash(`${name}\0${shape.join()}`, hash)
    hash = Bun.hash(ArrayBuffer.isView(data) ? data : JSON.stringify(data), hash)
  }
  return hash.toString(36)
}

function isSame(kept: RunInput, asked: RunInput): boolean {
  if (kept.outputs?.join('\0') !== asked.outputs?.join('\0') || kept.inputs.size !== asked.inputs.size) return false
  for (const [name, tensor] of kept.inputs) {
    const other = asked.inputs.get(name)
    if (other?.datatype !== tensor.datatype || other.shape.join() !== tensor.shape.join()) return false
    if (!isSameData(tensor.data, other.data)) return false
  }
  return true
}

function isSameData(kept: TensorData, asked: TensorData): boolean {
  if (ArrayBuffer.isView(kept)) return ArrayBuffer.isView(asked) && Buffer.compare(bytesIn(kept), bytesIn(asked)) === 0
  return !ArrayBuffer.isView(asked) && kept.length === asked.length && kept.every((text, index) => text === asked[index])
}

/** Bytes, not numbers: a NaN is itself, and 0 is not -0. */
function bytesIn({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function copyOf(tensors: NamedTensors): NamedTensors {
  return new Map([...tensors].map(([name, tensor]): [string, Tensor] => [name, { ...tensor, data: copyData(tensor.data) }]))
}
