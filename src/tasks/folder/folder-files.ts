/** Reads the small files that describe a model: each bounded, none of them outside of the folder, and none trusted. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'

/** Largest JSON file that describes a model: it is parsed on the thread of the engine. */
const JSON_BYTES_MAX = 4 * 1024 * 1024
/** Largest tokenizer, which only worker processes and the tokenizer library read. */
export const TOKENIZER_BYTES_MAX = 64 * 1024 * 1024

/** What is said of a Git LFS pointer. */
export const POINTER_SAYS = 'is a Git LFS pointer, which stands for the file; fetch the file itself with git lfs pull'

/** The files of a version's folder that say what it does. */
export class FolderFiles {
  readonly #folder: string
  readonly #read = new Set<string>()

  constructor(folder: string) {
    this.#folder = resolve(folder)
  }

  /** Paths in the folder of the files that were read so far: they decide what the model answers. */
  get read(): readonly string[] {
    return [...this.#read]
  }

  /**
   * The absolute path of a file that is there; undefined where there is none.
   * @throws Error where it is no file, is too large, leads outside of the folder or cannot be looked at
   */
  path(name: string, bytesMax = Number.POSITIVE_INFINITY): string | undefined {
    const path = join(this.#folder, name)
    let size: number
    try {
      const stat = statSync(path, { throwIfNoEntry: false })
      if (stat === undefined) return undefined
      if (!stat.isFile()) throw new Error(`${name} is not a file`)
      if (!isInside(realpathSync(path), realpathSync(this.#folder)))
        throw new Error(`${name} is a link that leads outside the folder of the version; put the file itself there (cp -L)`)
      size = stat.size
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      // A file in the place of a folder above it.
      if (error.code === 'ENOTDIR') return undefined
      throw new Error(`${name} cannot be read (${String(error.code)})`)
    }
    if (size > bytesMax) throw new Error(`${name} has ${size} bytes, more than ${bytesMax}`)
    this.#read.add(name)
    return path
  }

  /**
   * What a JSON file holds, with a view of it; undefined where there is none.
   * @throws Error naming the file, where it cannot be read
   */
  json(name: string): JsonValue | undefined {
    const path = this.path(name, JSON_BYTES_MAX)
    if (path === undefined) return undefined
    try {
      const text = readFileSync(path, 'utf8')
      if (isPointer(text)) throw new Error(`${name} ${POINTER_SAYS}`)
      return new JsonValue(parsed(text, name), name, '')
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      throw new Error(`${name} cannot be read (${String(error.code)})`)
    }
  }
}

/** Whether a file is what Git LFS leaves in the place of one. */
export function isPointer(text: string): boolean {
  return text.startsWith('version https://git-lfs.github.com/spec/')
}

function parsed(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${name} is not valid JSON`)
  }
}

/** Whether a file is in a folder, or among the blobs of the same model, where that is a snapshot in the cache of Hugging Face. */
function isInside(path: string, folder: string): boolean {
  if (path.startsWith(`${folder}${sep}`)) return true
  const snapshots = dirname(folder)
  const model = dirname(snapshots)
  const isSnapshot = basename(snapshots) === 'snapshots' && basename(model).startsWith('models--')
  return isSnapshot && path.startsWith(`${join(model, 'blobs')}${sep}`)
}

/** A view of a JSON value that gives only what is of the kind that is asked for; what is null counts as absent. */
export class JsonValue {
  readonly #value: unknown
  readonly file: string
  readonly #path: string

  constructor(value: unknown, file: string, path: string) {
    this.#value = value
    this.file = file
    this.#path = path
  }

  /** Where it stands, for a person: a file and a key. */
  get place(): string {
    return this.#path === '' ? this.file : `${this.file} ${this.#path}`
  }

  /** The value of a key; undefined where there is none. */
  get(key: string): JsonValue | undefined {
    const value = this.#value
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined
    const own: unknown = (value as Readonly<Record<string, unknown>>)[key]
    return own === null ? undefined : new JsonValue(own, this.file, this.#path === '' ? key : `${this.#path}.${key}`)
  }

  /** The elements of a list, at most so many. @throws Error where it is no list, or a longer one */
  items(max: number): readonly JsonValue[] {
    const value = this.#value
    if (!Array.isArray(value)) throw this.fault('must be a list')
    if (value.length > max) throw this.fault(`has ${value.length} elements, more than ${max}`)
    return value.map((each, index) => new JsonValue(each, this.file, `${this.#path}[${index}]`))
  }

  /** The names and values of an object, at most so many. @throws Error where it is no object, or a larger one */
  entries(max: number): readonly (readonly [string, JsonValue])[] {
    const value = this.#value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.fault('must be an object')
    const entries = Object.entries(value)
    if (entries.length > max) throw this.fault(`has ${entries.length} entries, more than ${max}`)
    return entries.map(([key, each]) => [key, new JsonValue(each, this.file, `${this.#path}.${key.slice(0, 64)}`)] as const)
  }

  get isObject(): boolean {
    return typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value)
  }

  get isList(): boolean {
    return Array.isArray(this.#value)
  }

  /** The string, of at most so many characters. @throws Error where it is none */
  text(max = 1000): string {
    if (typeof this.#value !== 'string') throw this.fault('must be a string')
    if (this.#value.length > max) throw this.fault(`has ${this.#value.length} characters, more than ${max}`)
    return this.#value
  }

  /** @throws Error where it is no number that is finite */
  number(): number {
    if (typeof this.#value !== 'number' || !Number.isFinite(this.#value)) throw this.fault('must be a number')
    return this.#value
  }

  /** @throws Error where it is no whole number from `min` to `max` */
  whole(min: number, max: number): number {
    const value = this.#value
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw this.fault(`must be a whole number from ${min} to ${max}`)
    return value
  }

  /** @throws Error where it is neither true nor false */
  flag(): boolean {
    if (typeof this.#value !== 'boolean') throw this.fault('must be true or false')
    return this.#value
  }

  /** An error about this value. */
  fault(rule: string): Error {
    return new Error(this.#path === '' ? `${this.file} ${rule}` : `${this.file}: "${this.#path}" ${rule}`)
  }
}
