import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { faultsIn, ruleOf } from '../../schema/check.ts'
import { isObject } from '../../tensor/exact-json.ts'

/** A text, or the ids of its tokens. */
export type Text = string | readonly number[]

/** A field that may be absent, or null: some clients write null for what was not given. */
export function maybe<S extends TSchema>(schema: S, description: string) {
  return Type.Optional(Type.Union([schema, Type.Null()], { description, rule: ruleOf(schema) }))
}

/** A whole number from a bound on. */
export function whole(minimum: number) {
  return Type.Integer({ minimum, rule: `must be a whole number from ${minimum}` })
}

/** What a schema describes, with what is null left out. */
export type Fields<S extends TObject> = { readonly [Name in keyof Static<S>]: Exclude<Static<S>[Name], null> }

/**
 * Reads the object of a body, or one in it. A field that the schema does not name is rejected: what is ignored might have changed the answer.
 * @param path of the value in the body; default the body itself
 * @throws VestalError BODY_INVALID with one text a field
 */
export function readFields<S extends TObject>(schema: S, value: unknown, path = ''): Fields<S> {
  if (!isObject(value)) {
    const names = Object.keys(schema.properties).map((name) => `"${name}"`)
    throw fault(path === '' ? 'body' : path, `must be an object with ${names.join(', ')}`)
  }
  const faults = faultsIn(schema, value, { unknown: 'is not a field of this request', path })
  if (faults.length > 0) {
    const shown = faults.slice(0, FAULTS_MAX)
    throw new VestalError('BODY_INVALID', { detail: Object.fromEntries(shown.map(({ path: where, rule }) => [where, rule])) })
  }
  // The cast is what the check establishes; nulls are gone.
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null)) as Fields<S>
}

/** Faults that one error names. */
const FAULTS_MAX = 8

/** The rejection of one field. */
export function fault(name: string, rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { [name]: rule } })
}

export interface TextsRule {
  /** Name of the field. */
  readonly field: string
  /** How many there may be. */
  readonly max: number
  /** Whether ids of tokens are accepted in the place of a text; default false. */
  readonly mayBeIds?: boolean | undefined
  /** Whether a text may be empty; default true. */
  readonly mayBeEmpty?: boolean
}

/** Texts of a request, and whether it sent one without a list around it. */
export interface Texts {
  readonly texts: readonly Text[]
  readonly isOne: boolean
}

/**
 * Reads a text, a list of texts, a list of ids or a list of lists of ids.
 * @throws VestalError BODY_INVALID, INPUT_EMPTY
 */
export function readTexts(value: unknown, rule: TextsRule): Texts {
  const { field, max } = rule
  if (typeof value === 'string') return { texts: [checkText(value, rule, field)], isOne: true }
  if (!Array.isArray(value)) throw fault(field, `must be a text or a list of texts`)
  if (value.length === 0) throw empty(field)
  if (value.every((each) => typeof each === 'number')) return { texts: [checkIds(value, rule, field)], isOne: true }
  if (value.length > max) throw tooMany(field, value.length, max)
  return { texts: value.map((each, index) => checkText(each, rule, `${field}[${index}]`)), isOne: false }
}

/** Reads a list of texts, and nothing else. @throws VestalError BODY_INVALID, INPUT_EMPTY */
export function readTextList(value: unknown, { field, max }: Pick<TextsRule, 'field' | 'max'>): readonly string[] {
  if (!Array.isArray(value)) throw fault(field, 'must be a list of texts')
  if (value.length === 0) throw empty(field)
  if (value.length > max) throw tooMany(field, value.length, max)
  const index = value.findIndex((each) => typeof each !== 'string')
  if (index !== -1) throw fault(`${field}[${index}]`, 'must be a text')
  // The cast is what was checked.
  return value as readonly string[]
}

function checkText(value: unknown, rule: TextsRule, where: string): Text {
  if (typeof value === 'string') {
    if (value === '' && rule.mayBeEmpty === false) throw fault(where, 'is empty; send a text of one character or more')
    return value
  }
  if (Array.isArray(value) && value.every((each) => typeof each === 'number')) return checkIds(value, rule, where)
  throw fault(where, 'must be a text')
}

/** Beyond all vocabularies. */
const ID_MAX = 2 ** 31 - 1

function checkIds(ids: readonly number[], { mayBeIds = false }: TextsRule, where: string): readonly number[] {
  if (!mayBeIds)
    throw fault(
      where,
      'must be a text: ids of tokens are rejected, since most clients make them with the tokenizer of a different model (`token_ids = "on"` accepts them)',
    )
  if (ids.length === 0) throw fault(where, 'is empty; send one id or more')
  if (ids.some((id) => !Number.isInteger(id) || id < 0 || id > ID_MAX)) throw fault(where, 'must be whole numbers from 0')
  return ids
}

/** The rejection of a list without anything in it. */
export function empty(field: string): VestalError {
  return new VestalError('INPUT_EMPTY', { detail: { [field]: 'is empty; send one text or more' } })
}

/** The rejection of a list that is too long. */
export function tooMany(field: string, count: number, max: number): VestalError {
  return fault(field, `has ${count} items; a request may have ${max}`)
}
