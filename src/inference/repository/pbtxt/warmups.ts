import { type Datatype, isDatatype } from '../../../tensor/datatypes.ts'
import { isInnerPath } from '../inner-path.ts'
import type { WarmupInput, WarmupTensors } from '../warmup-table.ts'
import { type ConfigTable, isTable, type TypedConfig, tablesOf } from './typed-config.ts'

const WARMUPS_MAX = 64
const COUNT_MAX = 1000

/**
 * The runs of `model_warmup`.
 * @throws Error naming the line, the field and the rule
 */
export function warmupsOf(config: TypedConfig): readonly WarmupTensors[] {
  const warmups = tablesOf(config.table.model_warmup)
  if (warmups.length > WARMUPS_MAX) throw config.fault('model_warmup', `must be at most ${WARMUPS_MAX}`)
  return warmups.map((warmup, index) => {
    const path = `model_warmup[${index}]`
    const { name = path, count = 0, batch_size: rows = 0 } = warmup
    if (Number(count) < 0 || Number(count) > COUNT_MAX) throw config.fault(`${path}.count`, `must be from 0 to ${COUNT_MAX}`)
    if (Number(rows) < 0) throw config.fault(`${path}.batch_size`, 'must be from 0 up')
    const inputs = isTable(warmup.inputs) ? warmup.inputs : {}
    return {
      kind: 'tensors',
      name: String(name),
      rows: Number(rows),
      // There, 0 is once.
      count: Math.max(1, Number(count)),
      inputs: Object.entries(inputs).map(([input, value]) => {
        const where = `${path}.inputs[${JSON.stringify(input)}]`
        if (!isTable(value)) throw config.fault(where, 'must be a message')
        return inputOf(config, value, { input, where })
      }),
    }
  })
}

function inputOf(
  config: TypedConfig,
  value: ConfigTable,
  { input, where }: { readonly input: string; readonly where: string },
): WarmupInput {
  const { dims = [], zero_data: zero, random_data: random, input_data_file: file } = value
  const datatype = value.data_type === 'TYPE_STRING' ? 'BYTES' : String(value.data_type ?? '').slice('TYPE_'.length)
  if (!isDatatype(datatype)) throw config.fault(where, 'must have a data_type that can be served')
  if (!Array.isArray(dims) || !dims.every((dimension) => Number(dimension) >= 0))
    throw config.fault(where, 'must have dims from 0 up')
  if ([zero, random, file].filter((each) => each !== undefined && each !== false).length !== 1) {
    throw config.fault(where, 'must have one of zero_data, random_data and input_data_file')
  }
  if (file !== undefined && !isInnerPath(String(file))) {
    throw config.fault(where, 'input_data_file must be a path inside the folder warmup of the model')
  }
  const data = file !== undefined ? { file: String(file) } : random === true ? 'random' : 'zero'
  return { name: input, datatype: datatype as Datatype, dims: dims.map(Number), data }
}
