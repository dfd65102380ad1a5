import { dirname } from 'node:path'

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

/** Why a model with an input or output that is no tensor cannot be served, and what mends it. */
export function notATensor(kind: 'input' | 'output', name: string): string {
  const fix =
    kind === 'output'
      ? ". For a classifier of scikit-learn convert it with options={'zipmap': False}; otherwise leave the output out, or make a tensor of it"
      : '; make it a tensor'
  return `the ${kind} '${name}' is a sequence, a map or an optional, which ONNX Runtime for JavaScript cannot hand over${fix}`
}
