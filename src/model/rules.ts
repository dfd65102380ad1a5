/** What a value breaks, in the words of this program's other errors. A rule holds nothing of the value. */
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'

const KINDS: Readonly<Partial<Record<ValueErrorType, string>>> = {
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

/** The rule that an error of typebox is about. */
export function ruleOfError({ type, schema, message }: ValueError): string {
  switch (type) {
    case ValueErrorType.IntegerMinimum:
    case ValueErrorType.NumberMinimum:
      return `must be at least ${schema.minimum}`
    case ValueErrorType.IntegerMaximum:
    case ValueErrorType.NumberMaximum:
      return `must be at most ${schema.maximum}`
    case ValueErrorType.IntegerExclusiveMinimum:
    case ValueErrorType.NumberExclusiveMinimum:
      return `must be greater than ${schema.exclusiveMinimum}`
    case ValueErrorType.IntegerExclusiveMaximum:
    case ValueErrorType.NumberExclusiveMaximum:
      return `must be less than ${schema.exclusiveMaximum}`
    case ValueErrorType.StringMinLength:
      return `must have at least ${counted(schema.minLength, 'character')}`
    case ValueErrorType.StringMaxLength:
      return `must have at most ${counted(schema.maxLength, 'character')}`
    case ValueErrorType.StringPattern:
      return `must match ${schema.pattern}`
    case ValueErrorType.ArrayMinItems:
      return `must have at least ${counted(schema.minItems, 'element')}`
    case ValueErrorType.ArrayMaxItems:
      return `must have at most ${counted(schema.maxItems, 'element')}`
    case ValueErrorType.Tuple:
    case ValueErrorType.TupleLength:
      return `must be a list of ${counted(schema.items?.length ?? 0, 'element')}`
    case ValueErrorType.Literal:
      return `must be ${JSON.stringify(schema.const)}`
    case ValueErrorType.Union:
      return unionRule(schema.anyOf)
    default:
      return KINDS[type] ?? `${message[0]?.toLowerCase()}${message.slice(1)}`
  }
}

function unionRule(members: readonly { readonly const?: unknown }[]): string {
  if (!members.every((member) => member.const !== undefined)) return `must be of one of the ${members.length} forms of its schema`
  return `must be one of ${members.map((member) => JSON.stringify(member.const)).join(', ')}`
}

function counted(count: unknown, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
