/** The largest size that Triton counts to, and its texts name. */
export const INT64_MAX = 2n ** 63n - 1n

interface OfInput {
  readonly input: string
  readonly model: string
}

/**
 * The texts of Triton's errors that its clients and its own tests look for, word for word. Where we have more to say, it stands behind
 * them: clients compare the beginning, or look for a part. A test has a request for each.
 */
export const TRITON_TEXTS = {
  unknownModel: (what: string) => `Request for unknown model: ${what}`,
  nestingDepth: (levelsMax: number) => `JSON nesting depth exceeds maximum allowed limit (${levelsMax})`,
  jsonTooLarge: (bytes: string, bytesMax: number) =>
    `request JSON size of ${bytes} bytes exceeds the maximum allowed input size of ${bytesMax} bytes.`,
  rawTooLarge: (bytes: string, bytesMax: number) =>
    `Raw input has a byte_size (${bytes} bytes) that exceeds the maximum allowed value of ${bytesMax} bytes.`,
  headerLength: (got: string) => `Unable to parse Inference-Header-Content-Length, got: ${got}`,
  headerRange: (bytes: number, got: number) => `inference header size should be in range (0, ${bytes}), got: ${got}`,
  reservedParameter: () => "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",

  inputsMissing: (expected: number, got: readonly string[], { model, missing }: MissingInputs) =>
    `expected ${expected} inputs but got ${got.length} inputs for model '${model}'. Got input(s) ${listOf(got)}, but missing required ` +
    `input(s) ${listOf(missing)}. Please provide all required input(s).`,
  inputUnexpected: (quoted: string, model: string) => `unexpected inference input ${quoted} for model '${model}'`,
  outputUnexpected: (quoted: string, model: string) => `unexpected inference output ${quoted} for model '${model}'`,
  inputTwice: (input: string) => `input '${input}' already exists in request`,
  outputTwice: (output: string) => `output '${output}' already exists in request`,
  datatypeWrong: (quoted: string, { input, model, expected }: OfInput & { readonly expected: string }) =>
    `inference input '${input}' data-type is ${quoted}, but model '${model}' expects '${expected}'`,
  shapeWrong: (got: string, { input, model, expected }: OfInput & { readonly expected: string }) =>
    `unexpected shape for input '${input}' for model '${model}'. Expected ${expected}, got ${got}.`,
  shapeNegative: () => "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
  dataMismatch: () => "Unable to parse 'data': Shape does not match true shape of 'data' field",
  dataTwice: () =>
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in " +
    "'parameters'. But set 'data' 'binary_data_size'",
  elementsOverflow: (input: string, shape: string) =>
    `invalid shape for input '${input}': shape ${shape} causes total element count to exceed maximum size of ${INT64_MAX}`,
  bytesOverflow: (input: string, elements: bigint, size: number) =>
    `byte size overflow for input '${input}': element count (${elements}) * data type size (${size}) exceeds maximum allowed size (${INT64_MAX})`,
  inputTooLarge: (input: string, bytes: bigint, bytesMax: number) =>
    `JSON input '${input}' has a byte_size (${bytes} bytes) that exceeds the maximum allowed value of ${bytesMax} bytes`,

  tensorOverflow: (input: string) => `byte size for tensor '${input}' exceeds maximum size of ${INT64_MAX}`,
  bytesMismatch: (got: number, { input, model, expected }: OfInput & { readonly expected: bigint }) =>
    `input byte size mismatch for input '${input}' for model '${model}'. Expected ${expected}, got ${got}`,
  bytesMissing: (lacking: number, { input, model }: OfInput) =>
    `unexpected size for input '${input}', expecting ${lacking} additional bytes for model '${model}'`,
  bytesLeft: (model: string) => `unexpected additional input data for model '${model}'`,
  stringsTooFew: (got: number, { input, model, expected }: OfInput & { readonly expected: bigint }) =>
    `expected ${expected} string elements for inference input '${input}' for model '${model}', got ${got}`,
  stringsTooMany: (got: number, { input, model, expected }: OfInput & { readonly expected: bigint }) =>
    `unexpected number of string elements ${got} for inference input '${input}' for model '${model}', expecting ${expected}`,
  stringLengthIncomplete: (left: number, { input, model }: OfInput) =>
    `incomplete string length indicator for inference input '${input}' for model '${model}', expecting 4 bytes but only ${left} bytes ` +
    'available. Please make sure the string length indicator is in one buffer.',
  stringIncomplete: (length: number, { input, left }: { readonly input: string; readonly left: number }) =>
    `incomplete string data for inference input '${input}', expecting string of length ${length} but only ${left} bytes available`,

  rawInputs: (inputs: number, model: string) =>
    `Raw request must only have 1 input (found 1) to be deduced but got ${inputs} inputs in '${model}' model configuration`,
  rawOpen: (input: string) =>
    `The shape of the raw input '${input}' can not be deduced because there are more than one variable-sized dimension`,
  rawText: (input: string) => `For BYTE datatype raw input '${input}', the model must have input shape [1]`,

  classUnsupported: (datatype: string) => `class result not available for output due to unsupported type '${datatype}'`,
  classTooLarge: () => 'classification output tensor too large',

  readyWrong: () => "Invalid value for 'ready': expected a boolean",
  dependentsWrong: () => "Unable to parse 'unload_dependents': attempt to access JSON non-boolean as boolean",
  notPolled: (model: string) => `failed to load '${model}', failed to poll from model repository`,
  noVersion: (model: string) => `failed to load '${model}', no version is available`,
  loadFailed: (model: string, versions: readonly (readonly [version: string, reason: string])[]) =>
    `load failed for model '${model}': ${versions.map(([version, reason]) => `version ${version} is at UNAVAILABLE state: ${reason};`).join('')}`,
  configMissing: () => "Load parameter 'config' must be specified for model file override",
}

interface MissingInputs {
  readonly model: string
  readonly missing: readonly string[]
}

/** Names as Triton lists them: `['a','b']`. */
export function listOf(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(',')}]`
}
