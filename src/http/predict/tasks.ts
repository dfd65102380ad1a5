import { answerTask, checkBody, type TaskQuestion, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { TaskDescription, TaskName } from '../../tasks/task.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { speak } from '../dialects/failures.ts'
import { teiPredict } from '../dialects/tei.ts'
import type { TaskBody, TaskCodec, TaskTarget } from './codec.ts'
import { checkBeginsAsJson, readMediaBody } from './media-body.ts'
import { TaskRequest } from './schemas.ts'

/** Computes what a body asks, and gives the JSON of the answer. */
type Ask = (call: TaskCall, target: TaskTarget) => Promise<string>

/**
 * A body of a task: `{"input", "parameters"}`, or a picture or sound as it is, is answered with `{"output"}`. The path is also that of Text
 * Embeddings Inference for a classifier, whose `inputs` are answered as it does.
 */
export const taskBody: TaskCodec<Ask> = {
  async decode(received, { task }) {
    if (task.text === undefined) return askOf(taskQuestion(task, ...(await mediaIn(received))))
    const { bytes, request } = received
    checkBeginsAsJson(bytes, '{"input": "a text"}')
    return decodeJson(bytes, {}, (body): Ask => {
      if (isForInference(task, body)) {
        speak('tei', request)
        const question = teiPredict.read(body, { mayBeIds: false })
        return (call, target) => teiPredict.answer(question, call, target)
      }
      checkBody(TaskRequest, body)
      // The cast: the schema has checked it.
      const { input, parameters = {} } = body as { readonly input: unknown; readonly parameters?: unknown }
      return askOf(taskQuestion(task, input, parameters))
    })
  },
  answer: async (ask, call, target) => ({ json: await ask(call, target), blobs: [] }),
}

function askOf(question: TaskQuestion): Ask {
  return async (call) => `{"output":${await answerTask(question, call)}}`
}

async function mediaIn(body: TaskBody): Promise<readonly [input: unknown, parameters: unknown]> {
  const { input, parameters = {} } = await readMediaBody(body)
  return [input, parameters]
}

/** Tasks that Text Embeddings Inference has at `/predict`. */
const PREDICTED: ReadonlySet<TaskName> = new Set(['classify', 'rerank', 'zero-shot'])

function isForInference({ task }: TaskDescription, body: unknown): boolean {
  return PREDICTED.has(task) && isObject(body) && body.inputs !== undefined && body.input === undefined
}
