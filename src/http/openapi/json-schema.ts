/** JSON Schemas that a `model.ts` brings, as OpenAPI 3.0 writes them. */

import { isObject } from '../../tensor/exact-json.ts'

type Schema = Readonly<Record<string, unknown>>

/** Schemas in schemas: what is deeper is shown as open. */
const DEPTH_MAX = 16
const NUMBERS = [
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'minimum',
  'maximum',
  'multipleOf',
]
const TEXTS = ['title', 'description', 'format', 'pattern']
const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array'])

/**
 * A JSON Schema of any draft in the keywords of OpenAPI 3.0. What that has no word for is left out, so the result may allow more than the
 * schema and never less: a reference, a tuple, or what is nested too deep is open.
 */
export function openApiOfJson(value: unknown, depth = 0): Schema {
  if (!isObject(value) || depth > DEPTH_MAX || value.$ref !== undefined) return {}
  const inside = (each: unknown) => openApiOfJson(each, depth + 1)
  return {
    ...Object.fromEntries(TEXTS.flatMap((key) => (typeof value[key] === 'string' ? [[key, value[key]]] : []))),
    ...Object.fromEntries(NUMBERS.flatMap((key) => (typeof value[key] === 'number' ? [[key, value[key]]] : []))),
    ...exclusiveBounds(value),
    ...typeOf(value),
    ...wordsOf(value),
    ...(isObject(value.properties) && { properties: mapObject(value.properties, inside) }),
    ...(isTexts(value.required) && value.required.length > 0 && { required: value.required }),
    // What names by pattern are is not said, so others may not be ruled out.
    ...(value.patternProperties === undefined && additionalOf(value.additionalProperties, inside)),
    ...(value.uniqueItems === true && { uniqueItems: true }),
    ...((value.type === 'array' || value.items !== undefined) && {
      items: value.prefixItems === undefined ? inside(value.items) : {},
    }),
    ...membersOf(value, inside),
  }
}

function typeOf({ type }: Schema): Schema {
  const types = (Array.isArray(type) ? type : [type]).filter((each) => typeof each === 'string')
  const others = types.filter((each) => TYPES.has(each))
  return {
    ...(others.length === 1 && { type: others[0] }),
    ...(types.includes('null') && { nullable: true }),
  }
}

function wordsOf({ enum: among, const: only }: Schema): Schema {
  if (only !== undefined) return { enum: [only] }
  return Array.isArray(among) && among.length > 0 ? { enum: among } : {}
}

/** Numbers in later drafts, and yes or no beside the bound in OpenAPI 3.0. */
function exclusiveBounds({ exclusiveMinimum, exclusiveMaximum }: Schema): Schema {
  return {
    ...(typeof exclusiveMinimum === 'number' && { minimum: exclusiveMinimum, exclusiveMinimum: true }),
    ...(typeof exclusiveMaximum === 'number' && { maximum: exclusiveMaximum, exclusiveMaximum: true }),
  }
}

function additionalOf(additional: unknown, inside: (each: unknown) => Schema): Schema {
  if (typeof additional === 'boolean') return { additionalProperties: additional }
  return isObject(additional) ? { additionalProperties: inside(additional) } : {}
}

function membersOf(value: Schema, inside: (each: unknown) => Schema): Schema {
  const written: Record<string, unknown> = {}
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    const members = value[key]
    if (!Array.isArray(members)) continue
    const others = members.filter((member) => !isObject(member) || member.type !== 'null')
    // Of members that allow more than they did, a value may match several.
    if (others.length > 0) written[key === 'oneOf' ? 'anyOf' : key] = others.map(inside)
    if (others.length < members.length) written.nullable = true
  }
  return written
}

function mapObject(schemas: Schema, write: (schema: unknown) => Schema): Schema {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, write(schema)]))
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}
