import { describe, expect, test } from 'bun:test'
import type { TSchema } from '@sinclair/typebox'
import { t } from '../../../src/model/model.ts'
import { checkValue } from '../../../src/model/schema.ts'

/** What a schema says of a value, by path; undefined where the value matches. */
async function rulesFor(schema: TSchema, value: unknown) {
  const { faults } = await checkValue(schema, value)
  return faults && Object.fromEntries(faults.map(({ path, rule }) => [path, rule]))
}

describe('the rule that a value breaks', () => {
  const cases: readonly (readonly [rule: string, schema: TSchema, wrong: unknown, right: unknown])[] = [
    ['must be a string', t.String(), 5, 'a'],
    ['must be a number', t.Number(), '5', 5.5],
    ['must be a whole number', t.Integer(), 5.5, 5],
    ['must be true or false', t.Boolean(), 0, true],
    ['must be a list', t.Array(t.Number()), {}, [1]],
    ['must be an object', t.Object({}), [], {}],
    ['must be null', t.Null(), 0, null],
    ['must be at least 18', t.Integer({ minimum: 18 }), 17, 18],
    ['must be at most 1.5', t.Number({ maximum: 1.5 }), 2, 1],
    ['must be greater than 0', t.Number({ exclusiveMinimum: 0 }), 0, 1],
    ['must be less than 3', t.Integer({ exclusiveMaximum: 3 }), 3, 2],
    ['must have at least 1 character', t.String({ minLength: 1 }), '', 'a'],
    ['must have at most 2 characters', t.String({ maxLength: 2 }), 'abc', 'ab'],
    ['must match ^a', t.String({ pattern: '^a' }), 'b', 'a'],
    ['must have at least 2 elements', t.Array(t.Number(), { minItems: 2 }), [1], [1, 2]],
    ['must have at most 1 element', t.Array(t.Number(), { maxItems: 1 }), [1, 2], [1]],
    ['must hold nothing twice', t.Array(t.Number(), { uniqueItems: true }), [1, 1], [1, 2]],
    ['must be a list of 2 elements', t.Tuple([t.Number(), t.Number()]), [1], [1, 2]],
    ['must be a list of 2 elements', t.Tuple([t.Number(), t.Number()]), 'secret', [1, 2]],
    ['must be "a"', t.Literal('a'), 'secret', 'a'],
    ['must be one of "a", "b"', t.Union([t.Literal('a'), t.Literal('b')]), 'secret', 'b'],
    ['must be of one of the 2 forms of its schema', t.Union([t.String(), t.Number()]), true, 5],
  ]
  test.each(cases)('%s', async (rule, schema, wrong, right) => {
    expect(await rulesFor(schema, wrong)).toEqual({ '': rule })
    expect(await rulesFor(schema, right)).toBeUndefined()
  })

  test('of a field that is missing, or not known, is named by its path', async () => {
    const schema = t.Object({ person: t.Object({ age: t.Integer() }, { additionalProperties: false }) })
    expect(await rulesFor(schema, { person: { agee: 5 } })).toEqual({
      'person.agee': 'is not a field that is known',
      'person.age': 'is missing',
    })
  })
})
