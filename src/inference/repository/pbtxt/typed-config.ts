import type { FieldSchema, MessageSchema } from './schema.ts'
import { MODEL_CONFIG } from './schema.ts'
import { parseTextFormat, type TextField, TextFormatError, type TextMessage, type TextValue } from './text-format.ts'

/** A field's value, as the JSON of a model configuration has it. */
export type ConfigValue = string | number | boolean | readonly ConfigValue[] | ConfigTable
export interface ConfigTable {
  readonly [field: string]: ConfigValue | undefined
}

/** A configuration whose fields are known and of the right type. */
export interface TypedConfig {
  readonly table: ConfigTable
  /** What was read and has no effect. */
  readonly warnings: readonly string[]
  /** Says where a field stands and what is wrong with it: `config.pbtxt line 3: input[0].dims: …`. */
  fault(path: string, message: string): Error
}

const FILE = 'config.pbtxt'

/**
 * Reads the text of a config.pbtxt.
 * @throws Error naming the line, the field and the rule
 */
export function readConfigText(text: string): TypedConfig {
  try {
    return new Typing(FILE).read(parseTextFormat(text))
  } catch (error) {
    if (error instanceof TextFormatError) throw new Error(`${FILE} line ${error.line}: ${error.message}`)
    throw error
  }
}

/**
 * Reads a configuration that came as JSON; numbers may be texts there.
 * @throws Error naming the field and the rule
 */
export function readConfigJson(json: unknown): TypedConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('the configuration must be a JSON object')
  return new Typing('the configuration').read(messageOfJson(json as Readonly<Record<string, unknown>>, MODEL_CONFIG, 0))
}

const JSON_DEPTH_MAX = 32

/** Of JSON, the same fields as of the text format; line 0 says that texts may stand for numbers. */
function messageOfJson(object: Readonly<Record<string, unknown>>, schema: MessageSchema | undefined, depth: number): TextMessage {
  if (depth > JSON_DEPTH_MAX) throw new Error(`the configuration is nested more than ${JSON_DEPTH_MAX} deep`)
  const fields = Object.entries(object).flatMap(([name, value]): readonly TextField[] => {
    const field = schema !== undefined && Object.hasOwn(schema, name) ? schema[name] : undefined
    if (value === null || value === undefined) return []
    const isMap = field?.kind === 'map' && typeof value === 'object' && !Array.isArray(value)
    const entries = isMap
      ? Object.entries(value).map(([key, item]) => ({ key, value: item }))
      : Array.isArray(value)
        ? value
        : [value]
    const inner = isMap ? { key: { kind: 'text' as const }, value: { ...field, kind: 'message' as const } } : field?.message
    return entries.map((item: unknown) => ({ name, value: valueOfJson(item, inner, depth), line: 0 }))
  })
  return { kind: 'message', fields, line: 0 }
}

function valueOfJson(value: unknown, schema: MessageSchema | undefined, depth: number): TextValue {
  if (typeof value === 'string') return { kind: 'text', text: value, line: 0 }
  if (typeof value === 'number') return { kind: 'number', text: String(value), line: 0 }
  if (typeof value === 'boolean') return { kind: 'word', text: String(value), line: 0 }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return messageOfJson(value as Readonly<Record<string, unknown>>, schema, depth + 1)
  }
  throw new Error('the configuration has a list in a list')
}

class Typing {
  readonly #file: string
  readonly #warnings: string[] = []
  readonly #lines = new Map<string, number>()

  constructor(file: string) {
    this.#file = file
  }

  read(message: TextMessage): TypedConfig {
    const table = this.#message(message, MODEL_CONFIG, '')
    return { table, warnings: this.#warnings, fault: (path, text) => this.#fault(path, text, this.#lines.get(path) ?? 0) }
  }

  #message(message: TextMessage, schema: MessageSchema, path: string): ConfigTable {
    const table: Record<string, ConfigValue> = {}
    const names = [...new Set(message.fields.map(({ name }) => name))]
    for (const name of names) {
      const fields = message.fields.filter((field) => field.name === name)
      const own = path === '' ? name : `${path}.${name}`
      const line = fields[0]?.line ?? 0
      const field = Object.hasOwn(schema, name) ? schema[name] : undefined
      if (field === undefined) throw this.#fault(own, 'is not a field of a model configuration', line)
      this.#lines.set(own, line)
      if (field.ignored !== undefined && field.ignored !== '') {
        this.#warnings.push(this.#fault(own, `has no effect: ${field.ignored}`, line).message)
      }
      table[name] = this.#field(fields, field, own)
    }
    return table
  }

  #field(fields: readonly TextField[], schema: FieldSchema, path: string): ConfigValue {
    if (schema.kind === 'map') return this.#map(fields, schema, path)
    if (schema.isList) {
      return fields.map(({ value }, index) => {
        this.#lines.set(`${path}[${index}]`, value.line)
        return this.#value(value, schema, `${path}[${index}]`)
      })
    }
    const [first, second] = fields
    if (first === undefined) return {}
    if (second !== undefined) throw this.#fault(path, 'is there twice', second.line)
    return this.#value(first.value, schema, path)
  }

  #map(fields: readonly TextField[], schema: FieldSchema, path: string): ConfigTable {
    const entries = fields.map(({ value: entry, line }) => {
      if (entry.kind !== 'message') throw this.#fault(path, 'must be { key: … value: … }', line)
      const key = entry.fields.find(({ name }) => name === 'key')?.value
      const value = entry.fields.find(({ name }) => name === 'value')?.value
      const isOdd = entry.fields.length !== 2 || key === undefined || value === undefined || key.kind === 'message'
      if (isOdd) throw this.#fault(path, 'must have one key and one value', line)
      const own = `${path}[${JSON.stringify(key.text)}]`
      this.#lines.set(own, line)
      return [
        key.text,
        this.#value(value, schema.message === undefined ? { kind: 'text' } : mapValue(schema, value), own),
      ] as const
    })
    return Object.fromEntries(entries)
  }

  #value(value: TextValue, schema: FieldSchema, path: string): ConfigValue {
    const { line } = value
    // JSON may have any scalar as a text.
    const isLoose = line === 0 && value.kind === 'text'
    switch (schema.kind) {
      case 'message':
        if (value.kind !== 'message') throw this.#fault(path, 'must be a message: { … }', line)
        return schema.message === undefined ? {} : this.#message(value, schema.message, path)
      case 'text':
        if (value.kind !== 'text') throw this.#fault(path, 'must be a string in quotes', line)
        return value.text
      case 'boolean': {
        const word = value.kind === 'message' ? '' : value.text.toLowerCase()
        if ((value.kind === 'word' || isLoose || value.kind === 'number') && /^(?:true|t|1|false|f|0)$/.test(word))
          return /^[t1]/.test(word)
        throw this.#fault(path, 'must be true or false', line)
      }
      case 'enum': {
        const word = value.kind === 'message' ? undefined : value.text
        const named = value.kind === 'word' || isLoose ? schema.words?.find((candidate) => candidate === word) : undefined
        const numbered = value.kind === 'number' ? schema.words?.[Number(word)] : undefined
        if (named !== undefined || numbered !== undefined) return named ?? numbered ?? ''
        throw this.#fault(path, `must be one of ${schema.words?.join(', ')}`, line)
      }
      default: {
        const number = value.kind === 'number' || isLoose ? integerOf(value.text) : undefined
        if (number === undefined) throw this.#fault(path, 'must be a whole number', line)
        return number
      }
    }
  }

  #fault(path: string, message: string, line: number): Error {
    return new Error(`${this.#file}${line > 0 ? ` line ${line}` : ''}: ${path}: ${message}`)
  }
}

/** A map of labels has texts, whatever else has messages. */
function mapValue(schema: FieldSchema, value: TextValue): FieldSchema {
  return value.kind === 'message' ? { kind: 'message', ...(schema.message && { message: schema.message }) } : { kind: 'text' }
}

function integerOf(text: string): number | undefined {
  const [, sign, hex, octal, decimal] = /^(-?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(\d+))$/.exec(text) ?? []
  const digits = hex ?? octal ?? decimal
  if (digits === undefined) return undefined
  const value = Number.parseInt(digits, hex !== undefined ? 16 : octal !== undefined ? 8 : 10)
  if (!Number.isSafeInteger(value)) return undefined
  return sign === '-' && value !== 0 ? -value : value
}

/** True for a message of a configuration. */
export function isTable(value: ConfigValue | undefined): value is ConfigTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The messages of a list; none where there is no list. */
export function tablesOf(value: ConfigValue | undefined): readonly ConfigTable[] {
  return Array.isArray(value) ? value.filter(isTable) : []
}
