import { isRawJson, rawJson } from '../../tensor/raw-json.ts'
import { CommandError } from '../command-error.ts'

/**
 * Reads JSON so that writing it again gives the same integers, however long.
 * @throws CommandError saying where it stands
 */
export function exactJson(text: string, where: () => string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
      const isRounded = typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      return isRounded ? rawJson(context?.source ?? '') : value
    })
  } catch {
    throw new CommandError(`${where()}: is not valid JSON`)
  }
}

/** True for what JSON calls an object. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawJson(value)
}
