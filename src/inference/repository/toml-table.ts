/** A table of a file that is read key by key; every fault names the file, the key and the rule. */
export class TomlTable {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #path: string
  readonly #file: string
  readonly #known = new Set<string>()

  constructor(value: unknown, path: string, file = 'model.toml') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault(file, path, 'must be a table')
    this.#values = value as Readonly<Record<string, unknown>>
    this.#path = path
    this.#file = file
  }

  get keys(): readonly string[] {
    return Object.keys(this.#values)
  }

  /** The value as it is; undefined where it is absent. */
  any(key: string): unknown {
    this.#known.add(key)
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined
  }

  integer(key: string, [min, max]: readonly [min: number, max: number]): number | undefined {
    const value = this.any(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    throw this.fault(key, `must be a whole number from ${min} to ${max}`)
  }

  number(key: string, [min, max]: readonly [min: number, max: number]): number | undefined {
    const value = this.any(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw this.fault(key, `must be a number from ${min} to ${max}`)
  }

  boolean(key: string): boolean | undefined {
    const value = this.any(key)
    if (value === undefined || typeof value === 'boolean') return value
    throw this.fault(key, 'must be true or false')
  }

  text(key: string): string | undefined {
    const value = this.any(key)
    if (value === undefined || (typeof value === 'string' && value !== '')) return value as string | undefined
    throw this.fault(key, 'must be a text')
  }

  oneOf<const T extends string>(key: string, words: readonly T[]): T | undefined {
    const value = this.any(key)
    if (value === undefined) return undefined
    const word = words.find((candidate) => candidate === value)
    if (word !== undefined) return word
    throw this.fault(key, `must be one of ${words.join(', ')}`)
  }

  /** A table inside; undefined where it is absent. */
  table(key: string): TomlTable | undefined {
    const value = this.any(key)
    return value === undefined ? undefined : new TomlTable(value, this.#pathOf(key), this.#file)
  }

  /** A list of tables; empty where it is absent. */
  tables(key: string): readonly TomlTable[] {
    const value = this.any(key) ?? []
    if (!Array.isArray(value)) throw this.fault(key, 'must be a list of tables')
    return value.map((item, index) => new TomlTable(item, `${this.#pathOf(key)}[${index}]`, this.#file))
  }

  /** Rejects keys that were not read. */
  end(): void {
    const other = this.keys.find((key) => !this.#known.has(key))
    if (other !== undefined) throw this.fault(other, 'is not a key that is known')
  }

  fault(key: string, rule: string): Error {
    return fault(this.#file, this.#pathOf(key), rule)
  }

  #pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }
}

function fault(file: string, path: string, rule: string): Error {
  return new Error(`${file}: "${path}" ${rule}`)
}

/**
 * The whole of a TOML file.
 * @throws Error naming the file
 */
export function readToml(text: string, file: string): TomlTable {
  try {
    return new TomlTable(Bun.TOML.parse(text), '', file)
  } catch (error) {
    throw new Error(`${file} is not valid TOML: ${error instanceof Error ? error.message.split('\n')[0] : ''}`)
  }
}

/** The object without the keys that have no value. */
export function withoutAbsent<T extends object>(values: { readonly [K in keyof T]: T[K] | undefined }): T {
  // The cast: what is left has a value.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}
