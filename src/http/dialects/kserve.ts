import { Type } from '@sinclair/typebox'
import { inputsOf, outputsOf } from '../../inference/code/code-values.ts'
import { strict, text } from '../../schema/build.ts'
import { answerTask, type TaskQuestion, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { isList, NumberList } from '../../tensor/number-list.ts'
import { decodeRows, encodeRows, type RowForm } from '../../tensor/rows.ts'
import { labelsOf } from '../model-access.ts'
import { pictureQuestion } from '../predict/code-pictures.ts'
import type { BodyCodec, TaskCodec } from '../predict/codec.ts'
import { rowsOptions } from '../predict/rows.ts'
import { fault, maybe, readFields } from './bodies.ts'

const PredictRequest = strict({
  instances: Type.Unknown({
    description: 'A list of rows, as `input` of `/models/<name>/predict/` has them; of texts for a model of texts',
  }),
  parameters: Type.Optional(Type.Unknown({ description: 'Of a model with a task: the parameters of the task' })),
  signature_name: maybe(Type.String(), 'Counts for nothing'),
})

interface Instances {
  readonly instances: readonly unknown[] | NumberList
  readonly parameters: unknown
}

function readInstances(body: unknown): Instances {
  const { instances, parameters = {} } = readFields(PredictRequest, body)
  if (!isList(instances)) throw fault('instances', 'must be a list')
  return { instances, parameters }
}

/** `POST /v1/models/<name>:predict` of a model of tensors. */
export const kserveRows: BodyCodec<RowForm> = {
  jsonLengthOf: () => undefined,
  tooLarge: () => undefined,
  hasCompression: true,
  decode: (bytes, { version }) =>
    decodeJson(bytes, rowsOptions(version), (body) => {
      const { inputs, code } = version
      const { instances } = readInstances(body)
      if (instances instanceof NumberList) return { tensors: decodeRows(instances, inputs), form: 'rows' }
      if (code?.input.form === 'image') return pictureQuestion(instances.map(bytesOf))
      const isCode = code !== undefined && code.input.form !== 'tensor'
      return { tensors: isCode ? inputsOf(instances, code) : decodeRows(instances, inputs), form: 'rows' }
    }),
  encode: (results, form, { model, version }) => {
    const { code } = version
    if (code !== undefined && code.output.form !== 'tensor')
      return { json: `{"predictions":[${outputsOf(results, code).join(',')}]}`, blobs: [] }
    const predictions = encodeRows(results, version.outputs, { form, labels: labelsOf(model, version) })
    return { json: `{"predictions":${predictions}}`, blobs: [] }
  },
}

/** The same of a model with a task. */
export const kserveTask: TaskCodec<TaskQuestion> = {
  decode({ bytes }, { task }) {
    const { instances, parameters } = readInstances(decodeJson(bytes, {}, (body) => body))
    if (instances instanceof NumberList) throw new Error('lists of numbers are read as such for tensors only')
    const isMedia = task.image !== undefined || task.audio !== undefined
    return taskQuestion(task, isMedia ? instances.map(bytesOf) : instances, parameters)
  },
  answer: async (question, call) => ({ json: `{"predictions":${await answerTask(question, call)}}`, blobs: [] }),
}

/** Bytes as TensorFlow Serving writes them in JSON, `{"b64": "…"}`, as their base64; everything else as it is. */
function bytesOf(instance: unknown): unknown {
  return isObject(instance) && Object.keys(instance).length === 1 ? (instance.b64 ?? instance) : instance
}

/** What the route of KServe v1 takes and gives, by name. */
export const KSERVE_SCHEMAS = {
  KserveRequest: PredictRequest,
  KserveAnswer: Type.Object({ predictions: Type.Array(Type.Unknown(), { description: 'One for each instance' }) }),
  KserveFailure: Type.Object({ error: text('What is wrong') }),
}
