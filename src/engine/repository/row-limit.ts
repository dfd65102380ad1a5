import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { ModelRunner } from '../runner.ts'

/**
 * Refuses a request of more rows than the model takes; rows are the first dimension, where it may be of any size.
 * @throws VestalError INPUT_INVALID
 */
export function refuseManyRows(
  inputs: NamedTensors,
  runner: ModelRunner,
  { name, rowsMax }: { readonly name: string; readonly rowsMax: number },
): void {
  for (const { name: input, shape } of runner.inputs) {
    const rows = shape[0] === -1 ? (inputs.get(input)?.shape[0] ?? 0) : 0
    if (rows <= rowsMax) continue
    throw new VestalError('INPUT_INVALID', { detail: `inference request batch-size must be <= ${rowsMax} for '${name}'` })
  }
}
