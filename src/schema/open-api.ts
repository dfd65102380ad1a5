import { Kind, type TSchema } from '@sinclair/typebox'

/** Names of schemas that the document has once; inside others they are references. */
type Names = ReadonlyMap<TSchema, string>

/** What the checks read, and no word of OpenAPI. */
const OWN = new Set(['rule', 'missing', 'documented'])

/** The schemas of a document's components, as OpenAPI 3.0 writes them. One that is part of another is a reference there. */
export function componentsOf<Name extends string>(
  schemas: Readonly<Record<Name, TSchema>>,
): Readonly<Record<Name, Readonly<Record<string, unknown>>>> {
  const entries = Object.entries<TSchema>(schemas)
  const names: Names = new Map(entries.map(([name, schema]) => [schema, name]))
  // The cast: the names are those that came.
  return Object.fromEntries(entries.map(([name, schema]) => [name, openApiOf(schema, names)])) as Record<
    Name,
    Record<string, unknown>
  >
}

/**
 * A schema as OpenAPI 3.0 writes it. Null is `nullable` and a choice of words is `enum`: clients that generators make of `anyOf` lose
 * what is in it. What a schema says in `documented` is there beside, such as a `format` that the code reads by itself.
 */
export function openApiOf(schema: TSchema, names: Names = new Map()): Readonly<Record<string, unknown>> {
  const inside = (each: TSchema) => {
    const name = names.get(each)
    return name === undefined ? openApiOf(each, names) : { $ref: `#/components/schemas/${name}` }
  }
  const { anyOf, const: word, ...rest } = schema
  const written: Record<string, unknown> = { ...(anyOf !== undefined && openApiOfUnion(anyOf, inside)) }
  for (const [key, value] of Object.entries(rest)) if (!OWN.has(key)) written[key] = value
  if (word !== undefined) written.enum = [word]
  if (schema.properties !== undefined) written.properties = mapValues(schema.properties, inside)
  // An object with any names has no properties of its own.
  if (isObject(schema.additionalProperties)) {
    written.additionalProperties = inside(schema.additionalProperties)
    delete written.properties
  }
  if (schema.items !== undefined) written.items = inside(schema.items)
  return { ...written, ...schema.documented }
}

function isObject(value: unknown): value is TSchema {
  return typeof value === 'object' && value !== null
}

function openApiOfUnion(members: readonly TSchema[], inside: (schema: TSchema) => object): object {
  const isNull = (member: TSchema) => member[Kind] === 'Null'
  const others = members.filter((member) => !isNull(member))
  const [first] = others
  const nullable = others.length < members.length ? { nullable: true } : {}
  if (first !== undefined && others.length === 1) return { ...inside(first), ...nullable }
  if (others.every((member) => member[Kind] === 'Literal'))
    return { type: 'string', enum: others.map((member) => member.const), ...nullable }
  throw new Error('OpenAPI schemas are no unions but of words, or with null')
}

function mapValues(schemas: Readonly<Record<string, TSchema>>, write: (schema: TSchema) => object) {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, write(schema)]))
}
