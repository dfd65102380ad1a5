import type { TObject } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { faultsIn } from '../../schema/check.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { TaskDescription, TaskName } from '../../tasks/task.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { speak } from '../dialects/failures.ts'
import { teiPredict } from '../dialects/tei.ts'
import type { TaskBodies, TaskBody, TaskCodec, TaskTarget } from './codec.ts'
import { readMediaBody } from './media-body.ts'
import { PICTURE_TASKS } from './picture-tasks.ts'
import { TaskRequest } from './schemas.ts'
import { SOUND_TASKS } from './sound-tasks.ts'
import { TEXT_TASKS } from './text-tasks.ts'

const TASK_BODIES: Readonly<Partial<Record<TaskName, TaskBodies>>> = { ...TEXT_TASKS, ...PICTURE_TASKS, ...SOUND_TASKS }

/** What is asked of a task. */
export interface TaskQuestion {
  readonly bodies: TaskBodies
  readonly input: unknown
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * What is asked of a task by an input and parameters, whatever stands around them.
 * @throws VestalError UNSUPPORTED, BODY_INVALID
 */
export function taskQuestion({ task }: TaskDescription, input: unknown, parameters: unknown): TaskQuestion {
  const bodies = TASK_BODIES[task]
  if (bodies === undefined) throw new VestalError('UNSUPPORTED', { detail: `The task ${task} has no body of this form` })
  check(bodies.parameters, parameters, 'parameters')
  // The cast: it is an object that the schema has checked.
  return { bodies, input, parameters: parameters as Readonly<Record<string, unknown>> }
}

/** The JSON of what is asked of a task. @throws VestalError as the operations */
export function answerTask({ bodies, input, parameters }: TaskQuestion, call: TaskCall): Promise<string> {
  return bodies.answer(input, parameters, call)
}

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
    return decodeJson(bytes, {}, (body): Ask => {
      if (isForInference(task, body)) {
        speak('tei', request)
        const question = teiPredict.read(body, { mayBeIds: false })
        return (call, target) => teiPredict.answer(question, call, target)
      }
      check(TaskRequest, body)
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

/** @throws VestalError BODY_INVALID naming each field that is wrong */
function check(schema: TObject, value: unknown, path = ''): void {
  const faults = faultsIn(schema, value, { unknown: 'is not a field of this body', path })
  if (faults.length === 0) return
  throw new VestalError('BODY_INVALID', {
    detail: Object.fromEntries(faults.map(({ path: at, rule }) => [at === '' ? 'body' : at, rule])),
  })
}
