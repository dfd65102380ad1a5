import { dirname } from 'node:path'
import type { ValueKind } from './onnx/values.ts'

/** Names of element types by their number in onnx.proto, for those that cannot go in or out. */
const ELEMENT_TYPES: Readonly<Record<string, string>> = {
  '14': 'COMPLEX64',
  '15': 'COMPLEX128',
  '16': 'BF16',
  '17': 'FLOAT8E4M3FN',
  '18': 'FLOAT8E4M3FNUZ',
  '19': 'FLOAT8E5M2',
  '20': 'FLOAT8E5M2FNUZ',
  '23': 'FLOAT4E2M1',
}

/** Why a model is not loaded whose operators on texts ask for a locale that is not there. */
export const LOCALE_REASON =
  'an operator on texts asks for a locale that this machine does not have; install it (Debian, Ubuntu: the package locales-all)'

/** Why a model file cannot be loaded, of the runtime's text: with what mends it where that is known, and without paths of this machine. */
export function loadReason(text: string, path: string): string {
  const [, number] = /Unsupported data type: (\d+)/.exec(text) ?? []
  if (number !== undefined) {
    const type = ELEMENT_TYPES[number] ?? `number ${number} of onnx.proto`
    return `an input or output has the type ${type}, which cannot be served; cast it to FP32 or FP16 inside the model`
  }
  const [, opset, supported] = /Opset (\d+) is .*till opset (\d+)/s.exec(text) ?? []
  if (opset !== undefined) {
    return `its operators are of opset ${opset}, and this ONNX Runtime knows those up to ${supported}; export it with an older opset`
  }
  const [, ir, irMax] = /IR version: (\d+), max supported IR version: (\d+)/.exec(text) ?? []
  if (ir !== undefined)
    return `it is written in IR version ${ir}, and this ONNX Runtime reads those up to ${irMax}; export it with an older one`
  const [, unregistered] = /MLDataType for: tensor\((\w+)\) is not/.exec(text) ?? []
  if (unregistered !== undefined) {
    return `an input or output has the type ${unregistered.toUpperCase()}, which cannot be served; make numbers of it inside the model`
  }
  const [, operator] =
    /(?:Fatal error: |No Op registered for )([\w.:]+).* (?:is not a registered function|with domain_version)/.exec(text) ?? []
  if (operator !== undefined)
    return `it has the operator ${operator}, which this ONNX Runtime does not know; export it without, or with an older opset`
  const [, uncomputed] = /Could not find an implementation for (\w+)\(/.exec(text) ?? []
  if (uncomputed !== undefined)
    return `it has the operator ${uncomputed} with types that this ONNX Runtime cannot compute; cast them inside the model`
  if (text.includes('Failed to construct locale')) return LOCALE_REASON
  return text
    .replaceAll(path, 'the file')
    .replaceAll(dirname(path), "the model's folder")
    .replaceAll(/(["'])\/[^"']*\1/g, '$1…$1')
}

/** Why a worker ended by itself, of the text that Bun gives: the error alone, without the source around it and without folders of this machine. */
export function endReason(text: string): string {
  const [, error = text.split('\n', 1)[0] ?? ''] = /^error: (.+)$/m.exec(text) ?? []
  return error
    .replaceAll(/(?<![\w.])\/\S*\//g, '')
    .trim()
    .slice(0, 300)
}

/** What mends an output that is no tensor, by what it is. */
const OUTPUT_FIXES: Readonly<Partial<Record<ValueKind, string>>> = {
  'sequence of maps':
    "for a classifier of scikit-learn convert it with options={'zipmap': False}; otherwise leave the output out",
  'sequence of tensors':
    'put ConcatFromSequence or SequenceAt behind it, or leave the output out: onnx.utils.extract_model takes the names of those to keep',
  map: 'leave the output out, or make a tensor of it',
  optional: 'put OptionalGetElement behind it, or leave the output out',
}
const INPUT_FIXES: Readonly<Partial<Record<ValueKind, string>>> = {
  'sequence of tensors': 'take the tensors as an input each, or as one with SplitToSequence behind it',
  map: 'take its values as a tensor, as a DictVectorizer of scikit-learn gives them',
  optional: 'take the tensor itself',
}

/** Why a model with an input or output that is no tensor cannot be served, and what mends it. */
export function notATensor(kind: 'input' | 'output', name: string, value: ValueKind = 'unknown'): string {
  const what = value === 'unknown' ? 'no tensor' : `${/^[aeiou]/.test(value) ? 'an' : 'a'} ${value}`
  const fix = (kind === 'output' ? OUTPUT_FIXES : INPUT_FIXES)[value] ?? 'make it a tensor'
  return `the ${kind} '${name}' is ${what}, which ONNX Runtime for JavaScript cannot hand over; ${fix}`
}
