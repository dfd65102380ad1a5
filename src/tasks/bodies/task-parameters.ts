import { type Static, type TObject, Type } from '@sinclair/typebox'
import { words } from '../../schema/build.ts'
import type { TaskCall } from '../call.ts'
import type { TaskBodies } from './task-bodies.ts'

/** The parameters of a classifier, whatever it classifies, by Hugging Face's names. */
export function classification(what: 'input' | 'picture' | 'sound') {
  return {
    top_k: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_536, description: `Labels of each ${what}, best first; default all` }),
    ),
    function_to_apply: Type.Optional(
      words(['softmax', 'sigmoid', 'none'], {
        description: 'What makes scores of the model’s numbers; default as the model has it',
      }),
    ),
  }
}

/** The bodies of a task, whose parameters have the type of their schema. */
export function bodiesOf<Parameters extends TObject>(
  parameters: Parameters,
  answer: (input: unknown, parameters: Static<Parameters>, call: TaskCall) => Promise<string>,
): TaskBodies {
  // The cast: parameters match their schema before they are handed over.
  return { parameters, answer: (input, given, call) => answer(input, given as Static<Parameters>, call) }
}
