import { expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { checkInputs } from '../../../src/inference/batches.ts'

const spec = (name: string) => ({ name, datatype: 'FP32' as const, shape: [-1] })
const tensor = { datatype: 'FP32' as const, shape: [1], data: new Float32Array(1) }

test('inputs are those of the model, and the one that is not is named', () => {
  const specs = [spec('x'), spec('y')]
  const inputs = (...names: readonly string[]) => new Map(names.map((name) => [name, tensor]))
  expect(() => checkInputs(specs, inputs('x', 'y'))).not.toThrow()
  expect(() => checkInputs(specs, inputs('x', 'y', 'z'))).toThrow(
    new VestalError('INPUT_INVALID', { detail: "the model has no input 'z'" }),
  )
  expect(() => checkInputs(specs, inputs('x'))).toThrow(new VestalError('INPUT_INVALID', { detail: "the input 'y' is missing" }))
})
