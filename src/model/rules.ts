/** What a value breaks, in the words of this program's other errors. A rule holds nothing of the value. */
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'

const KINDS: ByType<string> = {
  [ValueErrorType.String]: 'must be a string',
  [ValueErrorType.Number]: 'must be a number',
  [ValueErrorType.Integer]: 'must be a whole number',
  [ValueErrorType.Boolean]: 'must be true or false',
  [ValueErrorType.Array]: 'must be a list',
  [ValueErrorType.Object]: 'must be an object',
  [ValueErrorType.Null]: 'must be null',
  [ValueErrorType.ObjectRequiredProperty]: 'is missing',
  [ValueErrorType.ObjectAdditionalProperties]: 'is not a field that is known',
  [ValueErrorType.ArrayUniqueItems]: 'must hold nothing twice',
}

type ByType<Row> = Readonly<Partial<Record<ValueErrorType, Row>>>

/** The words before a bound, and the member of the schema that holds it. */
const BOUNDS: ByType<readonly [string, string]> = {
  [ValueErrorType.IntegerMinimum]: ['must be at least', 'minimum'],
  [ValueErrorType.NumberMinimum]: ['must be at least', 'minimum'],
  [ValueErrorType.IntegerMaximum]: ['must be at most', 'maximum'],
  [ValueErrorType.NumberMaximum]: ['must be at most', 'maximum'],
  [ValueErrorType.IntegerExclusiveMinimum]: ['must be greater than', 'exclusiveMinimum'],
  [ValueErrorType.NumberExclusiveMinimum]: ['must be greater than', 'exclusiveMinimum'],
  [ValueErrorType.IntegerExclusiveMaximum]: ['must be less than', 'exclusiveMaximum'],
  [ValueErrorType.NumberExclusiveMaximum]: ['must be less than', 'exclusiveMaximum'],
  [ValueErrorType.StringPattern]: ['must match', 'pattern'],
}

/** The words before a count, the member of the schema that holds it, and what is counted. */
const COUNTS: ByType<readonly [string, string, string]> = {
  [ValueErrorType.StringMinLength]: ['must have at least', 'minLength', 'character'],
  [ValueErrorType.StringMaxLength]: ['must have at most', 'maxLength', 'character'],
  [ValueErrorType.ArrayMinItems]: ['must have at least', 'minItems', 'element'],
  [ValueErrorType.ArrayMaxItems]: ['must have at most', 'maxItems', 'element'],
}

/** The rule that an error of typebox is about. */
export function ruleOfError({ type, schema, message }: ValueError): string {
  const bound = BOUNDS[type]
  if (bound !== undefined) return `${bound[0]} ${schema[bound[1]]}`
  const count = COUNTS[type]
  if (count !== undefined) return `${count[0]} ${counted(schema[count[1]], count[2])}`
  if (type === ValueErrorType.Tuple || type === ValueErrorType.TupleLength)
    return `must be a list of ${counted(schema.items?.length ?? 0, 'element')}`
  if (type === ValueErrorType.Literal) return `must be ${JSON.stringify(schema.const)}`
  if (type === ValueErrorType.Union) return unionRule(schema.anyOf)
  return KINDS[type] ?? `${message[0]?.toLowerCase()}${message.slice(1)}`
}

function unionRule(members: readonly { readonly const?: unknown }[]): string {
  if (!members.every((member) => member.const !== undefined)) return `must be of one of the ${members.length} forms of its schema`
  return `must be one of ${members.map((member) => JSON.stringify(member.const)).join(', ')}`
}

function counted(count: unknown, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
