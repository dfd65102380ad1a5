import type { TensorSpec } from '../../tensor/tensor.ts'

/** What the tokenizer of a model turned out to be, once a worker process has loaded it. */
export interface TokenizerFacts {
  /** Of the file that was loaded, in hexadecimal. */
  readonly sha256: string
  /** Every id that it gives is below this. */
  readonly vocabulary: number
  /** The id that pads, where its file names one. */
  readonly padId?: number
  /** Ids of a few short texts, with the special tokens around them. */
  readonly samples: readonly (readonly number[])[]
}

/** What is known of a model once a worker process has loaded it. */
export interface GraphFacts {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Texts that the model's own file holds beside its graph, by name. */
  readonly metadata?: ReadonlyMap<string, string>
  readonly tokenizer?: TokenizerFacts
}

/** Facts of a description, each with where it comes from. */
export class Sources {
  readonly #places: Record<string, string> = Object.create(null)

  /** Notes where a fact comes from, and gives its value. */
  from<T>(place: string, fact: string, value: T): T {
    this.#places[fact] = place
    return value
  }

  /** The first value that is there, whose place is noted. */
  first<T>(fact: string, ...candidates: readonly (Candidate<T> | undefined)[]): T | undefined {
    const found = candidates.find((candidate) => candidate?.value !== undefined)
    return found?.value === undefined ? undefined : this.from(found.place, fact, found.value)
  }

  places(): Readonly<Record<string, string>> {
    return { ...this.#places }
  }
}

/** A value that may be there, and its place. */
export interface Candidate<T> {
  readonly value: T | undefined
  readonly place: string
}

/** A value of a table of model.toml. */
export function said<T>(key: string, value: T | undefined): Candidate<T> {
  return { value, place: `model.toml ${key}` }
}

/** What is taken where nothing says otherwise. */
export function byDefault<T>(value: T): Candidate<T> {
  return { value, place: 'default' }
}

/** The names of tensors with their shapes, for a message. */
export function listed(specs: readonly TensorSpec[]): string {
  const shown = specs
    .slice(0, 8)
    .map(
      ({ name, datatype, shape }) =>
        `"${name.slice(0, 64)}" ${datatype} [${shape.map((each) => (each < 0 ? '?' : each)).join(',')}]`,
    )
  return `${shown.join(', ')}${specs.length > 8 ? ', …' : ''}`
}
