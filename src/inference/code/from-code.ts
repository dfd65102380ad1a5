/** Checks what a code process says: it runs code of others, which may say anything. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { words } from '../../schema/build.ts'
import { matches } from '../../schema/check.ts'
import { DATATYPES, type Datatype } from '../../tensor/datatypes.ts'
import { RANK_MAX } from '../../tensor/shape.ts'
import type { FromCode } from './messages.ts'

/** Characters of a definition with its schemas and examples. */
const DEFINITION_LENGTH_MAX = 1024 * 1024
const [NAMES_MAX, FAULTS_MAX, LOG_LENGTH_MAX, SOURCES_MAX] = [64, 16, 4000, 10_000]

const Id = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Name = Type.String({ minLength: 1, maxLength: 256 })
const Line = Type.String({ maxLength: LOG_LENGTH_MAX })
const byAnyName = <S extends TSchema>(value: S) => Type.Record(Type.String(), value, { maxProperties: NAMES_MAX })
const between = (minimum: number, maximum: number) => Type.Optional(Type.Number({ minimum, maximum }))
const Value = Type.Object({
  form: words(['json', 'text', 'image', 'tensor']),
  schema: Type.Record(Type.String(), Type.Unknown()),
  tensor: Type.Optional(
    Type.Object({
      datatype: words(Object.keys(DATATYPES) as Datatype[]),
      shape: Type.Array(Type.Integer({ minimum: -1, maximum: 2 ** 31 }), { maxItems: RANK_MAX }),
    }),
  ),
})
const Described = Type.Object({
  description: Type.String(),
  files: Type.Optional(byAnyName(Name)),
  calls: Type.Array(Name, { maxItems: NAMES_MAX }),
  input: Value,
  output: Value,
  examples: Type.Array(Type.Unknown(), { maxItems: NAMES_MAX }),
  batch: Type.Object({ rows: between(1, 65_536), delayMs: between(0, 10_000) }),
  limits: Type.Object({ ms: between(1, 86_400_000), atOnce: between(1, 1024) }),
  isStream: Type.Boolean(),
  isAroundFile: Type.Boolean(),
})
const size = Type.Number({ minimum: 0, maximum: 2 ** 31 })
const place = Type.Number({ minimum: -(2 ** 31), maximum: 2 ** 31 })
const Placed = Type.Object({
  ...{ width: size, height: size, inputWidth: size, inputHeight: size },
  ...{ scaleX: size, scaleY: size, offsetX: place, offsetY: place },
})
const Bundle = Type.Object({ map: Type.String(), folder: Type.String() })
const Failure = Type.Union([
  Type.Object({
    kind: Type.Literal('input'),
    faults: Type.Array(Type.Object({ path: Line, rule: Line }), { maxItems: FAULTS_MAX }),
  }),
  Type.Object({ kind: Type.Literal('refusal'), status: Type.Integer({ minimum: 400, maximum: 499 }), text: Line }),
  Type.Object({ kind: Type.Literal('passed'), ask: Id }),
  Type.Object({ kind: Type.Literal('bug'), text: Line }),
])

const KINDS: Readonly<Record<FromCode['kind'], TProperties>> = {
  bundled: { bundle: Bundle, sources: Type.Array(Type.String(), { maxItems: SOURCES_MAX }) },
  described: { model: Described },
  ready: {},
  rejected: { reason: Type.String() },
  answer: { id: Id, isLast: Type.Boolean(), isEmpty: Type.Boolean() },
  failed: { id: Id, failure: Failure },
  run: { id: Id, ask: Id, file: Name, outputs: Type.Optional(Type.Array(Name, { maxItems: 256 })) },
  call: { id: Id, ask: Id, model: Name, picture: Type.Optional(Type.Object({ placement: Type.Optional(Placed) })) },
  tokenizer: { id: Id, ask: Id, action: words(['encode', 'decode']) },
  pong: { number: Id },
  log: { text: Line, isError: Type.Boolean() },
}
const SCHEMAS = new Map(Object.entries(KINDS).map(([kind, properties]) => [kind, Type.Object(properties)]))

/** A message of a code process. @throws Error where it is none */
export function readFromCode(header: unknown): FromCode {
  const kind = typeof header === 'object' && header !== null && 'kind' in header ? String(header.kind) : ''
  const schema = SCHEMAS.get(kind)
  if (schema === undefined || !matches(schema, header))
    throw new Error(`the protocol was broken: a message of the kind "${kind.slice(0, 20)}" that is not whole`)
  // The cast is what the check establishes.
  const message = header as FromCode
  if (message.kind === 'described') checkDescribed(message)
  return message
}

function checkDescribed({ model }: Extract<FromCode, { kind: 'described' }>): void {
  if (JSON.stringify(model).length > DEFINITION_LENGTH_MAX)
    throw new Error(`its definition has more than ${DEFINITION_LENGTH_MAX} characters with its schemas and examples`)
  for (const value of [model.input, model.output])
    if ((value.form === 'tensor' || value.form === 'image') !== (value.tensor !== undefined))
      throw new Error('the protocol was broken: a tensor without its shape')
}
