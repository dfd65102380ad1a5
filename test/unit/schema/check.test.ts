import { describe, expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { byName } from '../../../src/schema/build.ts'
import { faultsIn, matches, ruleOf } from '../../../src/schema/check.ts'
import { componentsOf, openApiOf } from '../../../src/schema/open-api.ts'

const Serving = Type.Object(
  {
    threads: Type.Integer({ minimum: 1, maximum: 64 }),
    arena: Type.Optional(Type.Boolean()),
    mode: Type.Optional(Type.Union([Type.Literal('shared'), Type.Literal('own')])),
  },
  { additionalProperties: false },
)
const Model = Type.Object(
  {
    name: Type.String({ missing: 'is missing; a model needs one' }),
    labels: Type.Optional(Type.Array(Type.String(), { maxItems: 2 })),
    owner: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    code: Type.Optional(Type.String({ pattern: '^[a-z]+$', rule: 'must be small letters' })),
    serving: Type.Optional(Serving),
  },
  { additionalProperties: false },
)
const faults = (value: unknown) =>
  Object.fromEntries(
    faultsIn(Model, value, { unknown: 'is not a field of this file' }).map(({ path, rule }) => [path, rule] as const),
  )

describe('the check of a schema', () => {
  test('accepts what the schema describes', () => {
    const value = { name: 'iris', labels: ['a'], owner: null, code: 'abc', serving: { threads: 2, mode: 'own' } }
    expect([matches(Model, value), faults(value)]).toEqual([true, {}])
  })

  const cases: readonly (readonly [value: unknown, faults: Readonly<Record<string, string>>])[] = [
    [{}, { name: 'is missing; a model needs one' }],
    [{ name: 7 }, { name: 'must be a string' }],
    [{ name: 'x', labels: ['a', 1] }, { labels: 'must be a list of at most 2 strings' }],
    [{ name: 'x', labels: ['a', 'b', 'c'] }, { labels: 'must be a list of at most 2 strings' }],
    [{ name: 'x', owner: 1 }, { owner: 'must be a string or null' }],
    [{ name: 'x', code: 'A' }, { code: 'must be small letters' }],
    [{ name: 'x', serving: [] }, { serving: 'must be an object' }],
    [{ name: 'x', serving: {} }, { 'serving.threads': 'is missing' }],
    [{ name: 'x', serving: { threads: 65 } }, { 'serving.threads': 'must be a whole number from 1 to 64' }],
    [{ name: 'x', serving: { threads: 1.5 } }, { 'serving.threads': 'must be a whole number from 1 to 64' }],
    [{ name: 'x', serving: { threads: 1, arena: 1 } }, { 'serving.arena': 'must be true or false' }],
    [{ name: 'x', serving: { threads: 1, mode: 'two' } }, { 'serving.mode': 'must be one of shared, own' }],
    [
      { name: 'x', serving: { threads: 1, theads: 2 } },
      { 'serving.theads': 'is not a field of this file; did you mean threads?' },
    ],
    [{ name: 'x', other: 1 }, { other: 'is not a field of this file' }],
    [{ name: 'x', toString: 1 }, { toString: 'is not a field of this file' }],
    [JSON.parse('{"name":"x","__proto__":{}}'), { ['__proto__']: 'is not a field of this file' }],
    [null, { '': 'must be an object' }],
    [[], { '': 'must be an object' }],
  ]
  for (const [value, expected] of cases) {
    test(`says what is wrong with ${JSON.stringify(value)}`, () => {
      expect(matches(Model, value)).toBe(false)
      expect(Object.entries(faults(value))).toEqual(Object.entries(expected))
    })
  }

  test('reports a few of many unknown fields, and the beginning of a long name', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`${index}`.padEnd(100, 'x'), 1]))
    const found = faultsIn(Model, { name: 'x', ...many }, { unknown: 'is unknown' })
    expect([found.length, Math.max(...found.map(({ path }) => path.length))]).toEqual([8, 64])
  })

  test('never finds nothing where a value does not match', () => {
    const few = Type.Object({}, { maxProperties: 1 })
    expect(faultsIn(few, { a: 1, b: 2 }, { unknown: 'is unknown' })).toEqual([{ path: '', rule: ruleOf(few) }])
  })
})

describe('the OpenAPI form of a schema', () => {
  test('has null as nullable, words as an enum, any names as additional properties, and nothing of the checks', () => {
    const schema = Type.Object({
      owner: Type.Union([Type.String(), Type.Null()], { description: 'Who', rule: 'must be somebody' }),
      mode: Type.Union([Type.Literal('a'), Type.Literal('b')]),
      kind: Type.Literal('c'),
      tags: byName(Type.String()),
      time: Type.Optional(Type.String({ documented: { format: 'date-time' }, missing: 'is missing' })),
    })
    expect(openApiOf(schema)).toEqual({
      type: 'object',
      required: ['owner', 'mode', 'kind', 'tags'],
      properties: {
        owner: { type: 'string', nullable: true, description: 'Who' },
        mode: { type: 'string', enum: ['a', 'b'] },
        kind: { type: 'string', enum: ['c'] },
        tags: { type: 'object', additionalProperties: { type: 'string' } },
        time: { type: 'string', format: 'date-time' },
      },
    })
  })

  test('refers to a schema that has a name', () => {
    const Item = Type.Object({ name: Type.String() })
    const { List } = componentsOf({ Item, List: Type.Object({ items: Type.Array(Item), nested: Type.Object({ one: Item }) }) })
    const reference = { $ref: '#/components/schemas/Item' }
    expect(List.properties).toEqual({
      items: { type: 'array', items: reference },
      nested: { type: 'object', required: ['one'], properties: { one: reference } },
    })
  })

  test('rejects a union, which clients of generators lose', () => {
    expect(() => openApiOf(Type.Union([Type.String(), Type.Number()]))).toThrow('no unions')
  })
})
