import { VestalError } from '../../core/errors.ts'
import type { LoadOptions, UnloadOptions } from '../../inference/engine.ts'
import { matches } from '../../schema/check.ts'
import { isObject, type JsonObject } from '../../tensor/exact-json.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import { readStrictBody, strictFault } from '../strict-body.ts'
import { IndexRequest, UnloadParameters } from './schemas.ts'

/** Files that one request may bring. */
const FILES_MAX = 64
const FILE = 'file:'

/**
 * Reads the body of an index request: nothing, or `{"ready": true}` for what is ready alone.
 * @throws VestalError BODY_INVALID
 */
export function readIndexRequest(bytes: Uint8Array): { readonly isReadyOnly: boolean } {
  refuseOtherReady(bytes)
  const { ready = false } = readObject(bytes)
  return { isReadyOnly: ready === true }
}

/** Tells of a `ready` that is no boolean before anything else is wrong with the body: it may be nested too deep to be looked at. */
function refuseOtherReady(bytes: Uint8Array): void {
  let body: unknown
  try {
    body = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    // Whoever reads it next says what is wrong.
    return
  }
  if (isObject(body) && !matches(IndexRequest, body)) throw invalid(TRITON_TEXTS.readyWrong())
}

/**
 * Reads the body of a load request: nothing, or the parameters `config` and `file:<version>/<name>` that replace the model's
 * folder.
 * @throws VestalError BODY_INVALID, naming the parameter
 */
export function readLoadRequest(bytes: Uint8Array): LoadOptions {
  const { config, ...others } = readParameters(bytes)
  if (config !== undefined && typeof config !== 'string') throw invalid("parameter 'config' must be a string that holds JSON")
  const fault = config === undefined ? undefined : strictFault(config)
  if (fault !== undefined) throw invalid(`parameter 'config' is not accepted: ${fault}`)
  const files = new Map<string, Uint8Array>()
  for (const [name, value] of Object.entries(others)) {
    if (!name.startsWith(FILE)) throw invalid(`unrecognized load parameter ${JSON.stringify(name.slice(0, 100))}`)
    if (files.size === FILES_MAX) throw invalid(`a load request may bring ${FILES_MAX} files at most`)
    files.set(name.slice(FILE.length), readFile(name, value))
  }
  return { ...(config !== undefined && { config }), ...(files.size > 0 && { files }) }
}

/**
 * Reads the body of an unload request: nothing, or the parameter `unload_dependents`.
 * @throws VestalError BODY_INVALID
 */
export function readUnloadRequest(bytes: Uint8Array): UnloadOptions {
  const parameters = readParameters(bytes)
  const other = Object.keys(parameters).find((name) => !Object.hasOwn(UnloadParameters.properties, name))
  if (other !== undefined) throw invalid(`unrecognized unload parameter ${JSON.stringify(other.slice(0, 100))}`)
  if (!matches(UnloadParameters, parameters)) throw invalid(TRITON_TEXTS.dependentsWrong())
  return { dependents: parameters.unload_dependents ?? false }
}

function readFile(name: string, value: unknown): Uint8Array {
  const isBase64 = typeof value === 'string' && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value)
  if (!isBase64) throw invalid(`parameter ${JSON.stringify(name.slice(0, 100))} must be a string of base64`)
  return Uint8Array.fromBase64(value)
}

function readParameters(bytes: Uint8Array): JsonObject {
  const { parameters } = readObject(bytes)
  if (parameters === undefined || parameters === null) return {}
  if (!isObject(parameters)) throw invalid('"parameters" must be an object')
  return parameters
}

function readObject(bytes: Uint8Array): JsonObject {
  return bytes.length === 0 ? {} : readStrictBody(bytes, 'the body must be an object, or nothing')
}

function invalid(detail: string): VestalError {
  return new VestalError('BODY_INVALID', { detail })
}
