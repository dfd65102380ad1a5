import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { MODELS } from './server.ts'

const FIXTURES = join(import.meta.dir, '../models')

/** A tensor as the Open Inference Protocol has it. */
interface JsonTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

const int32 = (name: string, value: number): JsonTensor => ({ name, datatype: 'INT32', shape: [1], data: [value] })
const rows = (count: number): JsonTensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [count, 3, 2],
  data: Array<number>(count * 6).fill(0.1),
})
const scalar = (name: string, value: number): JsonTensor => ({ name, datatype: 'INT64', shape: [], data: [value] })
const stft = (length: number): readonly JsonTensor[] => [
  { name: 'x', datatype: 'FP32', shape: [1, 8, 1], data: Array<number>(8).fill(1) },
  scalar('step', 2),
  scalar('len', length),
]

/** Models that end their process on one input, and compute another. */
export const HARMFUL = [
  {
    name: 'divint',
    signal: 'SIGFPE',
    deadly: [int32('a', -2_147_483_648), int32('b', -1)],
    harmless: [int32('a', 6), int32('b', 2)],
  },
  {
    name: 'modint',
    signal: 'SIGFPE',
    deadly: [int32('a', -2_147_483_648), int32('b', -1)],
    harmless: [int32('a', 6), int32('b', 4)],
  },
  { name: 'lstm_empty', signal: 'SIGABRT', deadly: [rows(0)], harmless: [rows(1)] },
  { name: 'gru_empty', signal: 'SIGABRT', deadly: [rows(0)], harmless: [rows(1)] },
  { name: 'stft', signal: 'SIGFPE', deadly: stft(0), harmless: stft(4) },
] as const satisfies readonly {
  readonly name: string
  readonly signal: string
  readonly deadly: readonly JsonTensor[]
  readonly harmless: readonly JsonTensor[]
}[]

/** Puts models of `test/models`, and bundled ones, into a folder of models. */
export function putModels(folder: string, names: readonly string[], bundled: readonly string[] = []): void {
  for (const name of names) {
    mkdirSync(join(folder, name, '1'), { recursive: true })
    cpSync(join(FIXTURES, `${name}.onnx`), join(folder, name, '1/model.onnx'))
  }
  for (const name of bundled) cpSync(join(MODELS, name), join(folder, name), { recursive: true })
}
