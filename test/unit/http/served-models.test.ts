import { describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { openApiOfJson } from '../../../src/http/openapi/json-schema.ts'
import { failureResponses } from '../../../src/http/openapi/operation.ts'
import { SCHEMAS } from '../../../src/http/openapi/schemas.ts'
import { withModels } from '../../../src/http/openapi/served-models.ts'
import type { Model, ModelVersion } from '../../../src/inference/engine.ts'
import { TASKS, type TaskDescription } from '../../../src/tasks/task.ts'
import { colourTask } from '../../support/picture-models.ts'

const DOCUMENT = {
  openapi: '3.0.3',
  info: { title: 'T', version: '1' },
  tags: [],
  paths: { '/': { get: { responses: { 200: { description: 'Home' } } } } },
  components: {
    schemas: SCHEMAS,
    responses: failureResponses(),
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
  },
}

function modelOf(name: string, version: Partial<ModelVersion>, more: Partial<Model> = {}): Model {
  return {
    name,
    description: '',
    permissions: { predict: `model:${name}:predict`, read: `model:${name}:read`, admin: `model:${name}:admin` },
    labels: new Map(),
    examples: [],
    versions: [{ version: '1', state: 'ready', inputs: [], outputs: [], ...version }],
    ...more,
  }
}

interface Shown {
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Readonly<Record<string, { readonly post: Operation }>>
}
interface Operation {
  readonly description: string
  readonly requestBody: { readonly content: Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>> }
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }>>
}
interface Schema {
  readonly properties: Readonly<Record<string, object>>
}

/** The document with these models, which must be a valid one. */
async function documentOf(...models: readonly Model[]): Promise<Shown> {
  const document = JSON.parse(withModels(DOCUMENT, models))
  const { valid, errors } = await new Validator().validate(structuredClone(document) as never)
  expect([valid, errors]).toEqual([true, undefined])
  return document as Shown
}

async function operationOf(model: Model) {
  const operation = (await documentOf(model)).paths[`/models/${model.name}/predict/`]?.post
  const json = operation?.requestBody.content['application/json']
  return {
    description: operation?.description,
    types: Object.keys(operation?.requestBody.content ?? {}),
    input: json?.schema.properties.input,
    parameters: json?.schema.properties.parameters,
    example: json?.example,
    output: operation?.responses['200']?.content['application/json']?.schema.properties.output,
  }
}

describe('a model in the OpenAPI document', () => {
  test('of one input takes and gives rows', async () => {
    const specs = {
      inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [
        { name: 'label', datatype: 'INT64', shape: [-1] },
        { name: 'p', datatype: 'FP32', shape: [-1, 2] },
      ],
    } as const
    const labels = new Map([
      ['label', ['no', 'yes']],
      ['p', ['no', 'yes']],
    ])
    const float = { type: 'number', nullable: true, description: 'FP32' }
    expect(await operationOf(modelOf('iris', specs, { labels, examples: [[[1, 2, 3, 4]]], description: 'Names it' }))).toEqual({
      description: 'Names it. Asks for the permission `model:iris:predict`.',
      types: ['application/json'],
      input: { type: 'array', items: { type: 'array', items: float, minItems: 4, maxItems: 4 } },
      parameters: undefined,
      example: { input: [[1, 2, 3, 4]] },
      output: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            label: { type: 'string', enum: ['no', 'yes'] },
            p: { type: 'object', description: 'A number for each label', additionalProperties: float },
          },
          required: ['label', 'p'],
        },
      },
    })
  })

  test('of several inputs takes and gives columns by name', async () => {
    const a = { name: 'a', datatype: 'BYTES', shape: [-1] } as const
    const b = { name: 'b', datatype: 'BOOL', shape: [] } as const
    const { input, output } = await operationOf(modelOf('two', { inputs: [a, b], outputs: [{ ...a, shape: [-2] }] }))
    expect(input).toEqual({
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'string' } }, b: { type: 'boolean' } },
      required: ['a', 'b'],
    })
    expect(output).toMatchObject({ type: 'object', required: ['a'] })
  })

  test.each(TASKS.filter((task) => task !== 'tensors'))('of the task %s has the parameters of the task', async (task) => {
    const text = task === 'embedding' ? ({ text: {} } as TaskDescription) : undefined
    const { parameters, input, output, types } = await operationOf(
      modelOf('some', { task: { sources: {}, ...text, task } as TaskDescription }),
    )
    expect(parameters).toMatchObject({ type: 'object', additionalProperties: false })
    expect(Object.keys({ ...input, ...output }).length).toBeGreaterThan(0)
    expect(types.includes('application/octet-stream')).toBe(text === undefined)
  })

  test('of pictures takes the file itself, and names its labels', async () => {
    const { types, output } = await operationOf(modelOf('colour', { task: colourTask }))
    expect(types).toEqual(['application/octet-stream', 'application/json'])
    for (const label of colourTask.scores?.labels ?? []) expect(JSON.stringify(output)).toContain(JSON.stringify(label))
  })

  test('with code has its schemas and its example', async () => {
    const code = {
      description: 'Advises',
      input: { form: 'json', schema: { type: 'object', properties: { age: { type: 'integer', exclusiveMinimum: 17 } } } },
      output: { form: 'text', schema: { type: 'string', maxLength: 9 } },
      calls: [],
      ownAuthority: [],
      isStream: false,
      examples: [{ age: 18 }],
    } as const
    const shown = await operationOf(modelOf('advice', { code }))
    expect(shown.input).toEqual({
      type: 'object',
      properties: { age: { type: 'integer', minimum: 17, exclusiveMinimum: true } },
    })
    expect([shown.output, shown.example]).toEqual([{ type: 'string', maxLength: 9 }, { input: { age: 18 } }])
    expect(shown.description).toStartWith('Advises.')
    const stream = await operationOf(modelOf('stream', { code: { ...code, isStream: true } }))
    expect(stream.output).toEqual({ type: 'array', items: { type: 'string', maxLength: 9 } })
  })

  test('is left out while it is not ready', async () => {
    const { paths, tags } = await documentOf(modelOf('gone', { state: 'unavailable' }))
    expect([Object.keys(paths), tags]).toEqual([['/'], []])
  })

  test('with a huge schema is there without it, and the document is bounded', async () => {
    const properties = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`property number ${index}`, {}]))
    const schema = { type: 'object', properties }
    const code = { description: '', calls: [], ownAuthority: [], isStream: false, examples: [] }
    const form = 'json' as const
    const huge = { ...code, input: { form, schema }, output: { form, schema } }
    expect((await operationOf(modelOf('huge', { code: huge }))).input).toEqual({})
    const names = Array.from({ length: 600 }, (_, index) => `m${index}`)
    const many = JSON.parse(
      withModels(
        DOCUMENT,
        names.map((name) => modelOf(name, {})),
      ),
    ) as Shown
    expect(Object.keys(many.paths)).toHaveLength(501)
    const large = Object.fromEntries(Object.entries(properties).slice(0, 1500))
    const each = { ...code, input: { form, schema: { type: 'object', properties: large } }, output: { form, schema: {} } }
    const text = withModels(
      DOCUMENT,
      names.map((name) => modelOf(name, { code: each })),
    )
    expect(text.length).toBeLessThan(5 * 1024 * 1024)
    expect(text.length).toBeGreaterThan(3 * 1024 * 1024)
  })
})

describe('a JSON Schema in OpenAPI 3.0', () => {
  const schemas: readonly (readonly [name: string, schema: unknown, written: Record<string, unknown>])[] = [
    ['a constant', { const: 'a' }, { enum: ['a'] }],
    ['null beside a type', { type: ['string', 'null'] }, { type: 'string', nullable: true }],
    ['null in a union', { anyOf: [{ type: 'string' }, { type: 'null' }] }, { anyOf: [{ type: 'string' }], nullable: true }],
    ['several types', { type: ['string', 'number'] }, {}],
    [
      'one of, whose members may allow more',
      { oneOf: [{ type: 'string' }, { $ref: '#/x' }] },
      { anyOf: [{ type: 'string' }, {}] },
    ],
    [
      'a list',
      { type: 'array', items: { type: 'integer' }, minItems: 1 },
      { type: 'array', items: { type: 'integer' }, minItems: 1 },
    ],
    ['a tuple', { type: 'array', prefixItems: [{ type: 'string' }], items: false }, { type: 'array', items: {} }],
    ['a list of anything', { type: 'array' }, { type: 'array', items: {} }],
    ['a reference', { $ref: '#/$defs/tree', description: 'a tree' }, {}],
    ['names by pattern', { type: 'object', patternProperties: { a: {} }, additionalProperties: false }, { type: 'object' }],
    [
      'other names',
      { type: 'object', additionalProperties: { type: 'null' } },
      { type: 'object', additionalProperties: { nullable: true } },
    ],
    ['unknown words', { type: 'string', contentEncoding: 'base64', 'x-own': 1, title: 3 }, { type: 'string' }],
    ['no schema', 'string', {}],
  ]
  test.each(schemas)('writes %s', (_, schema, written) => {
    expect(openApiOfJson(schema)).toEqual(written)
  })

  test('opens what is nested without end', () => {
    const endless: Record<string, unknown> = { type: 'array' }
    endless.items = endless
    expect(JSON.stringify(openApiOfJson(endless)).length).toBeLessThan(1000)
  })
})
