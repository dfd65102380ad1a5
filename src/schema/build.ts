import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/** What an answer of a schema is made of. */
export type Answer<S extends TSchema> = Frozen<Static<S>>
type Frozen<T> = T extends object ? { readonly [Name in keyof T]: Frozen<T[Name]> } : T

/** A text. */
export function text(description: string, options: object = {}) {
  return Type.String({ description, ...options })
}

/** True or false. */
export function yes(description: string) {
  return Type.Boolean({ description })
}

/** One of a few words. */
export function words<const Word extends string>(among: readonly Word[], options: object = {}) {
  return Type.Union(
    among.map((word) => Type.Literal(word)),
    options,
  )
}

/** A value of a schema, or null. */
export function orNull<S extends TSchema>(schema: S, description: string) {
  return Type.Union([schema, Type.Null()], { description })
}

/** An object of a body or a query: a field that it does not name is an error. */
export function strict<P extends TProperties>(properties: P, options: object = {}) {
  return Type.Object(properties, { additionalProperties: false, ...options })
}

/** An object with a value for each of any names. `Type.Record` does not look at names with a line break. */
export function byName<S extends TSchema>(value: S, options: object = {}) {
  return Type.Unsafe<Record<string, Static<S>>>(Type.Object({}, { additionalProperties: value, ...options }))
}
