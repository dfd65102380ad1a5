import { Kind, OptionalKind, type Static, type TObject, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { didYouMean } from '../core/nearest.ts'

/** What is wrong with one value: where it is, such as `serving.threads`, and the rule that it broke. */
export interface Fault {
  readonly path: string
  readonly rule: string
  /** The word that is there, where the rule names others. */
  readonly given?: string
}

/** Unknown fields that are reported, and how much of the name of each. */
const UNKNOWN_MAX = 8
const NAME_LENGTH_MAX = 64

const compiled = new WeakMap<TSchema, TypeCheck<TSchema>>()

/** Whether a value is what a schema says. The check is compiled when it is first used. */
export function matches<S extends TSchema>(schema: S, value: unknown): value is Static<S> {
  let check = compiled.get(schema)
  if (check === undefined) {
    check = TypeCompiler.Compile<TSchema>(schema)
    compiled.set(schema, check)
  }
  return check.Check(value)
}

export interface FaultOptions {
  /** What is said of a field that the schema does not name. */
  readonly unknown: string
  /** Where the value stands; default nowhere in particular. */
  readonly path?: string
}

/**
 * What is wrong with a value, one fault a field; empty only where it matches the schema. A schema may say in its `rule` what a value
 * must be, and in `missing` what the error of an absent one is.
 */
export function faultsIn(schema: TSchema, value: unknown, { unknown, path = '' }: FaultOptions): readonly Fault[] {
  return [...faults(schema, value, { unknown, path })]
}

function* faults(schema: TSchema, value: unknown, at: Required<FaultOptions>): Generator<Fault> {
  if (matches(schema, value)) return
  let isTold = false
  for (const fault of faultsInside(schema, value, at)) {
    isTold = true
    yield fault
  }
  const isWord = typeof value === 'string' && schema[Kind] === 'Union'
  if (!isTold) yield { path: at.path, rule: ruleOf(schema), ...(isWord && { given: value }) }
}

function* faultsInside(schema: TSchema, value: unknown, at: Required<FaultOptions>): Generator<Fault> {
  if (isObjectSchema(schema) && isObject(value)) yield* faultsOfFields(schema, value, at)
  if (schema[Kind] !== 'Array' || !isObjectSchema(schema.items) || !Array.isArray(value)) return
  for (const [index, item] of value.entries()) yield* faults(schema.items, item, { ...at, path: `${at.path}[${index}]` })
}

function* faultsOfFields(
  { properties, additionalProperties: others }: TObject,
  value: Readonly<Record<string, unknown>>,
  at: Required<FaultOptions>,
): Generator<Fault> {
  const placeOf = (name: string) => ({ ...at, path: at.path === '' ? name : `${at.path}.${name}` })
  let unknown = 0
  for (const [name, each] of Object.entries(value)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (property !== undefined) yield* faults(property, each, placeOf(name))
    else if (typeof others === 'object') yield* faults(others, each, placeOf(name))
    else if (others === false && unknown++ < UNKNOWN_MAX) {
      const { path } = placeOf(name.slice(0, NAME_LENGTH_MAX))
      yield { path, rule: at.unknown + didYouMean(name, Object.keys(properties)) }
    }
  }
  for (const [name, property] of Object.entries(properties)) {
    const isMissing = property[OptionalKind] === undefined && !Object.hasOwn(value, name)
    if (isMissing) yield { path: placeOf(name).path, rule: property.missing ?? 'is missing' }
  }
}

/** What a value of this schema must be, in words. */
export function ruleOf(schema: TSchema): string {
  return schema.rule ?? `must be ${describe(schema)}`
}

function describe(schema: TSchema): string {
  switch (schema[Kind]) {
    case 'String':
      return 'a string'
    case 'Boolean':
      return 'true or false'
    case 'Integer':
      return `a whole number${rangeOf(schema)}`
    case 'Number':
      return `a number${rangeOf(schema)}`
    case 'Null':
      return 'null'
    case 'Array':
      return schema.maxItems === undefined ? 'a list of strings' : `a list of at most ${schema.maxItems} strings`
    case 'Union':
      return describeUnion(schema.anyOf)
    default:
      return 'an object'
  }
}

function describeUnion(members: readonly TSchema[]): string {
  if (members.every((member) => member[Kind] === 'Literal')) return `one of ${members.map(({ const: word }) => word).join(', ')}`
  return members.map(describe).join(' or ')
}

function rangeOf({ minimum, maximum }: TSchema): string {
  return minimum === undefined || maximum === undefined ? '' : ` from ${minimum} to ${maximum}`
}

function isObjectSchema(schema: TSchema): schema is TObject {
  return schema[Kind] === 'Object'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
