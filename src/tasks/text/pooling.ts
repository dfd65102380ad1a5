import type { Pooling } from '../task.ts'

/** Vectors of the tokens of one text, one after the other. */
export interface TokenVectors {
  readonly data: ArrayLike<number>
  readonly tokens: number
  readonly size: number
  /** First token that counts: those of a prompt may not. */
  readonly begin: number
}

/** One vector of the vectors of a text's tokens, as sentence-transformers pools them; several kinds one behind the other. */
export function pool(vectors: TokenVectors, kinds: readonly Pooling[]): Float32Array {
  const { size } = vectors
  const pooled = new Float32Array(size * kinds.length)
  for (const [index, kind] of kinds.entries()) pooled.set(POOLINGS[kind](vectors), index * size)
  return pooled
}

const POOLINGS: Readonly<Record<Pooling, (vectors: TokenVectors) => Float32Array | Float64Array>> = {
  cls: (vectors) => tokenOf(vectors, 0),
  last: (vectors) => tokenOf(vectors, vectors.tokens - 1),
  max({ data, tokens, size, begin }) {
    const most = new Float32Array(size).fill(Number.NEGATIVE_INFINITY)
    for (let token = begin; token < tokens; token += 1)
      for (let place = 0; place < size; place += 1) {
        most[place] = Math.max(most[place] ?? 0, data[token * size + place] ?? 0)
      }
    return most
  },
  mean: (vectors) => sumOf(vectors, { weightOf: () => 1, divisorOf: (weights) => Math.max(weights, 1e-9) }),
  'mean-sqrt': (vectors) => sumOf(vectors, { weightOf: () => 1, divisorOf: (weights) => Math.sqrt(Math.max(weights, 1e-9)) }),
  // By the place in the row, the tokens of a prompt counted.
  'weighted-mean': (vectors) =>
    sumOf(vectors, { weightOf: (token) => token + 1, divisorOf: (weights) => Math.max(weights, 1e-9) }),
}

function tokenOf({ data, size }: TokenVectors, token: number): Float32Array {
  return Float32Array.from({ length: size }, (_, place) => data[token * size + place] ?? 0)
}

interface Weights {
  readonly weightOf: (token: number) => number
  readonly divisorOf: (weights: number) => number
}

function sumOf({ data, tokens, size, begin }: TokenVectors, { weightOf, divisorOf }: Weights): Float64Array {
  const sum = new Float64Array(size)
  let weights = 0
  for (let token = begin; token < tokens; token += 1) {
    const weight = weightOf(token)
    weights += weight
    const from = token * size
    for (let place = 0; place < size; place += 1) sum[place] = (sum[place] ?? 0) + (data[from + place] ?? 0) * weight
  }
  const divisor = divisorOf(weights)
  for (let place = 0; place < size; place += 1) sum[place] = (sum[place] ?? 0) / divisor
  return sum
}

/** A vector of length 1, in place; one of length 0 stays. */
export function normalize(vector: Float32Array): Float32Array {
  let sum = 0
  for (const value of vector) sum += value * value
  const length = Math.max(Math.sqrt(sum), 1e-12)
  for (let place = 0; place < vector.length; place += 1) vector[place] = (vector[place] ?? 0) / length
  return vector
}
