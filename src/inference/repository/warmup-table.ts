import type { Datatype } from '../../tensor/datatypes.ts'
import type { TomlTable } from './toml-table.ts'

/** A run that a new version must pass before it serves, in the Flama form. */
export interface WarmupRows {
  readonly kind: 'rows'
  /** Rows, or columns by input name. */
  readonly input: unknown
  /** What it must answer, in the form of the answer; only that it answers counts when absent. */
  readonly output?: unknown
  /** How far a number of the answer may be from the recorded one: absolute, or relative to it where that is more. */
  readonly tolerance: number
  /** How often it is run. */
  readonly count: number
}

/** A run that a new version must pass before it serves, as Triton's configuration describes it. */
export interface WarmupTensors {
  readonly kind: 'tensors'
  readonly name: string
  /** Rows of the inputs; 0 where their dimensions are whole. */
  readonly rows: number
  readonly count: number
  readonly inputs: readonly WarmupInput[]
}

export interface WarmupInput {
  readonly name: string
  readonly datatype: Datatype
  readonly dims: readonly number[]
  /** Zeros and empty texts, random numbers, or the binary tensor data of a file in the folder `warmup`. */
  readonly data: 'zero' | 'random' | { readonly file: string }
}

export type Warmup = WarmupRows | WarmupTensors

const WARMUPS_MAX = 64
const COUNT_MAX = 1000
const TOLERANCE = 1e-4

/**
 * Reads `[[warmup]]` of model.toml.
 * @throws Error naming the key and the rule
 */
export function readWarmups(tables: readonly TomlTable[]): readonly Warmup[] {
  if (tables.length > WARMUPS_MAX) throw new Error(`model.toml: "warmup" must have at most ${WARMUPS_MAX} tables`)
  return tables.map((table) => {
    const [input, output] = [table.any('input'), table.any('output')]
    const tolerance = table.number('tolerance', [0, Number.MAX_VALUE]) ?? TOLERANCE
    const count = table.integer('count', [1, COUNT_MAX]) ?? 1
    table.end()
    if (input === undefined) throw table.fault('input', 'is missing')
    return { kind: 'rows', input, tolerance, count, ...(output !== undefined && { output }) }
  })
}
