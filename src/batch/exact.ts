import { CommandError } from '../core/command-error.ts'
import { integerOf } from '../tensor/exact-json.ts'
import { isRawJson, rawJson } from '../tensor/raw-json.ts'

/**
 * Reads JSON so that writing it again gives the same numbers: integers however long, the zero below zero, and what is too large for a number.
 * @throws CommandError saying where it stands
 */
export function exactJson(text: string, where: () => string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
      const { source = '' } = context ?? {}
      if (Object.is(value, -0)) return rawJson('-0')
      if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
      if (/^-?\d+$/.test(source) || !Number.isFinite(value)) return rawJson(source)
      const integer = integerOf(value, source)
      return integer === undefined ? value : rawJson(String(integer))
    })
  } catch {
    throw new CommandError(`${where()}: is not valid JSON`)
  }
}

/** True for what JSON calls an object. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawJson(value)
}
