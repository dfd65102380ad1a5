import { VestalError } from '../core/errors.ts'
import { inputInvalid, show } from './decode.ts'
import { isObject } from './exact-json.ts'
import { TRITON_TEXTS } from './triton-texts.ts'

/** Parameters of a request, an input or an output, by name. */
export type Parameters = Readonly<Record<string, string | number | boolean>>

const NONE: Parameters = Object.freeze({})
const DEFAULTS = Object.freeze({ isBinaryOutput: false })
/** Parameters in one object. */
const PARAMETERS_MAX = 64

/**
 * Reads a `parameters` object. What no reader below asks for is a custom parameter: an ONNX model has no place for one, so it is ignored.
 * @throws VestalError INPUT_INVALID; UNSUPPORTED for shared memory
 */
export function readParameters(parameters: unknown, where: string): Parameters {
  if (parameters === undefined || parameters === null) return NONE
  if (!isObject(parameters)) {
    throw inputInvalid(`the "parameters" of ${where} must be an object, got ${show(parameters)}`)
  }
  const entries = Object.entries(parameters)
  if (entries.length > PARAMETERS_MAX) throw inputInvalid(`the "parameters" of ${where} must be at most ${PARAMETERS_MAX}`)
  for (const [name, value] of entries) {
    if (value === null) continue
    if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
      throw inputInvalid(`parameter ${show(name)} of ${where} must be a string, a number, true or false, got ${show(value)}`)
    }
    if (name.startsWith('triton_')) {
      throw inputInvalid(`${TRITON_TEXTS.reservedParameter()} Found in ${where}: ${show(name)}`)
    }
    if (name.startsWith('shared_memory_')) throw unsupported(`shared memory, asked for by ${where}, is not supported`)
  }
  // The cast: every value was checked above, and a bigint is rejected where a number is read.
  return (entries.some(([, value]) => value === null) ? withoutNulls(entries) : parameters) as Parameters
}

/** Writers of JSON that leave nothing out, as those of MLServer's types, write `null` for an absent value. */
function withoutNulls(entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(entries.filter(([, value]) => value !== null))
}

/** What the parameters of a request say of how it is computed. */
export interface RequestParameters {
  /** How long the request may wait and run, in milliseconds; absent when it may take its time. */
  readonly timeoutMs?: number
  /** 1 is the most urgent; absent for the model's default. */
  readonly priority?: number
  /** True when outputs that do not say so themselves come as binary data. */
  readonly isBinaryOutput: boolean
}

/**
 * Reads what a request's own parameters ask for: `timeout` in microseconds, `priority`, `binary_data_output`.
 * @throws VestalError INPUT_INVALID; UNSUPPORTED for sequences
 */
export function readRequestParameters(parameters: unknown): RequestParameters {
  if (parameters === undefined || parameters === null) return DEFAULTS
  const where = 'the request'
  const values = readParameters(parameters, where)
  const { sequence_id: sequence, sequence_start: start, sequence_end: end } = values
  const hasSequence = (sequence !== undefined && sequence !== 0 && sequence !== '') || start === true || end === true
  if (hasSequence) throw unsupported(`sequences, asked for by ${where}, are not supported: no model here keeps a state`)
  const timeout = readCount(values, 'timeout', where)
  const priority = readCount(values, 'priority', where)
  return {
    isBinaryOutput: readFlag(values, 'binary_data_output', where) ?? false,
    ...(timeout !== 0 && { timeoutMs: timeout / 1000 }),
    ...(priority !== 0 && { priority }),
  }
}

/** The integer from 0 up that a parameter holds; 0 where it is absent. */
export function readCount(parameters: Parameters, name: string, where: string): number {
  const value = Object.hasOwn(parameters, name) ? parameters[name] : 0
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw inputInvalid(`parameter '${name}' of ${where} must be an integer from 0 up, got ${show(value)}`)
  }
  return value
}

/** The true or false that a parameter holds; undefined where it is absent. */
export function readFlag(parameters: Parameters, name: string, where: string): boolean | undefined {
  const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined
  if (value !== undefined && typeof value !== 'boolean') {
    throw inputInvalid(`parameter '${name}' of ${where} must be true or false, got ${show(value)}`)
  }
  return value
}

function unsupported(detail: string): VestalError {
  return new VestalError('UNSUPPORTED', { detail })
}
